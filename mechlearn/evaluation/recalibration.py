"""Recalibration of growth probabilities on patients that are not scored.

Isotonic regression fits the observed frequency of tumour as a non-decreasing function of the
probability (Zadrozny and Elkan 2002). It corrects the probabilities and keeps the ranking of
pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

__all__ = ["Recalibration", "fit_recalibration"]


@dataclass(frozen=True)
class Recalibration:
    """A non-decreasing, piecewise linear function that maps `levels` (K,) to `values` (K,)."""

    levels: np.ndarray
    values: np.ndarray

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """The recalibrated probability, of the same shape."""
        return np.interp(probability, self.levels, self.values)


def fit_recalibration(
    probabilities: Sequence[np.ndarray], truths: Sequence[np.ndarray]
) -> Recalibration:
    """Fit on the pixels of all slices.

    Args:
        probabilities: one array a slice, in [0, 1].
        truths: bool arrays of the same shapes.

    Raises:
        ValueError: no pixel at all.

    Example:
        >>> import numpy as np
        >>> fitted = fit_recalibration([np.array([0.9, 0.9])], [np.array([True, False])])
        >>> float(fitted(np.array(0.9)))
        0.5
    """
    p = np.concatenate([np.ravel(a) for a in probabilities] or [np.empty(0)]).astype(float)
    t = np.concatenate([np.ravel(a) for a in truths] or [np.empty(0)]).astype(float)
    if p.size == 0:
        raise ValueError("no pixels: recalibration needs at least one slice of other patients.")
    levels, which, counts = np.unique(p, return_inverse=True, return_counts=True)
    observed = np.bincount(which, weights=t) / counts
    return Recalibration(levels, isotonic_regression(observed, weights=counts).x)

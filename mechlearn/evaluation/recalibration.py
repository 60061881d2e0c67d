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

__all__ = ["LevelCounts", "Recalibration", "fit_recalibration"]


@dataclass(frozen=True)
class Recalibration:
    """A non-decreasing, piecewise linear function that maps `levels` (K,) to `values` (K,)."""

    levels: np.ndarray
    values: np.ndarray

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """The recalibrated probability, of the same shape."""
        return np.interp(probability, self.levels, self.values)


@dataclass(frozen=True)
class LevelCounts:
    """What recalibration takes of a case: pixels and tumour pixels at each probability, (K,)."""

    levels: np.ndarray
    pixels: np.ndarray
    tumour: np.ndarray

    @classmethod
    def of(cls, probability: np.ndarray, truth: np.ndarray) -> LevelCounts:
        """Count a probability array against a bool array of the same shape."""
        levels, which, pixels = np.unique(
            np.ravel(probability).astype(float), return_inverse=True, return_counts=True
        )
        tumour = np.bincount(which, weights=np.ravel(truth).astype(float), minlength=levels.size)
        return cls(levels, pixels, tumour)


def fit_recalibration(counts: Sequence[LevelCounts]) -> Recalibration:
    """Fit on the pixels of all given cases.

    Raises:
        ValueError: no pixel at all.

    Example:
        >>> import numpy as np
        >>> counts = LevelCounts.of(np.array([0.9, 0.9]), np.array([True, False]))
        >>> float(fit_recalibration([counts])(np.array(0.9)))
        0.5
    """
    if not any(c.levels.size for c in counts):
        raise ValueError("no pixels: recalibration needs at least one slice of other patients.")
    levels, which = np.unique(np.concatenate([c.levels for c in counts]), return_inverse=True)
    pixels, tumour = (
        np.bincount(which, weights=np.concatenate(values))
        for values in ([c.pixels for c in counts], [c.tumour for c in counts])
    )
    return Recalibration(levels, isotonic_regression(tumour / pixels, weights=pixels).x)

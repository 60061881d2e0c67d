"""Calibration and ranking of growth probabilities: scores over pixels.

The scores use only pixels outside the initial tumour, because pixels of the initial tumour are
known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechlearn.checks import in_range, same_shape

__all__ = ["Reliability", "average_precision", "brier", "ece", "evaluation_region", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram: values for each non-empty bin of predicted probability, (B,).

    `predicted`: mean probability; `observed`: share of tumour; `count`: number of pixels; `edges`:
    of all bins.
    """

    predicted: np.ndarray
    observed: np.ndarray
    count: np.ndarray
    edges: np.ndarray


def evaluation_region(brain: np.ndarray, initial: np.ndarray) -> np.ndarray:
    """Brain pixels outside the initial tumour, (H, W) bool."""
    same_shape("brain", brain, "initial", initial)
    return np.asarray(brain, bool) & ~np.asarray(initial, bool)


def _pixels(
    probability: np.ndarray, truth: np.ndarray, region: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    p, t, where = np.asarray(probability, float), np.asarray(truth, bool), np.asarray(region, bool)
    same_shape("probability", p, "truth", t)
    same_shape("probability", p, "region", where)
    p, t = p[where], t[where]
    if p.size:
        in_range("smallest probability", float(p.min()), 0.0, 1.0)
        in_range("largest probability", float(p.max()), 0.0, 1.0 + 1e-6)
    return p, t


def brier(probability: np.ndarray, truth: np.ndarray, *, region: np.ndarray) -> float | None:
    """Mean of (probability - truth)^2 over the region; None for an empty one.

    Args:
        probability: (H, W) in [0, 1].
        truth: target mask, (H, W) bool.
        region: pixels of the score, (H, W) bool: see `evaluation_region`.
    """
    p, t = _pixels(probability, truth, region)
    return float(np.mean((p - t) ** 2)) if p.size else None


def reliability(
    probability: np.ndarray, truth: np.ndarray, *, region: np.ndarray, n_bins: int = 15
) -> Reliability:
    """Predicted and observed frequency in equal bins of probability; arguments as for `brier`."""
    in_range("n_bins", n_bins, 1, 10_000)
    p, t = _pixels(probability, truth, region)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    which = np.clip(np.digitize(p, edges[1:-1], right=True), 0, n_bins - 1)
    count = np.bincount(which, minlength=n_bins)
    filled = count > 0
    total_p = np.bincount(which, weights=p, minlength=n_bins)[filled]
    total_t = np.bincount(which, weights=t.astype(float), minlength=n_bins)[filled]
    return Reliability(total_p / count[filled], total_t / count[filled], count[filled], edges)


def ece(
    probability: np.ndarray, truth: np.ndarray, *, region: np.ndarray, n_bins: int = 15
) -> float | None:
    """Expected calibration error: mean of |observed - predicted| over bins, weighted by pixels.

    Most pixels of a brain have a probability near 0 and no tumour, so the value is small for any
    map: also report `average_precision` and the reliability diagram. None for an empty region.
    """
    bins = reliability(probability, truth, region=region, n_bins=n_bins)
    if bins.count.size == 0:
        return None
    return float(np.average(np.abs(bins.observed - bins.predicted), weights=bins.count))


def average_precision(
    probability: np.ndarray, truth: np.ndarray, *, region: np.ndarray
) -> float | None:
    """Area under the precision-recall curve: sum of precision * increase of recall.

    Equal probabilities form one step. None without a tumour pixel in the region.
    """
    p, t = _pixels(probability, truth, region)
    if not t.any():
        return None
    order = np.argsort(-p, kind="stable")
    p, t = p[order], t[order]
    last = np.append(np.flatnonzero(np.diff(p)), p.size - 1)  # end of each run of equal values
    hits = np.cumsum(t)[last]
    precision = hits / (last + 1)
    return float(np.sum(precision * np.diff(hits, prepend=0)) / t.sum())

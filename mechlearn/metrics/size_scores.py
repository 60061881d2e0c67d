"""Scores of size forecasts: fit of curves, errors of medians, CRPS, coverage of intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mechlearn.agreement import crps_sorted
from mechlearn.checks import finite, same_shape

__all__ = ["coverage", "crps", "interval_covers", "interval_width", "nrmse", "r_squared", "winkler"]


def r_squared(
    predicted: np.ndarray | Sequence[float], observed: np.ndarray | Sequence[float]
) -> float | None:
    """1 - sum((observed - predicted)^2) / sum((observed - mean)^2), section 3.2.

    Args:
        predicted: median curve at the visits, (V,).
        observed: measured areas, (V,).

    Returns:
        At most 1; None for fewer than two visits or equal areas (no variance).
    """
    guess, truth = np.asarray(predicted, float), np.asarray(observed, float)
    same_shape("predicted", guess, "observed", truth)
    spread = float(np.sum((truth - truth.mean()) ** 2)) if truth.size > 1 else 0.0
    if spread <= 0:
        return None
    return 1.0 - float(np.sum((truth - guess) ** 2)) / spread


def nrmse(median: float, truth: float) -> float | None:
    """|median - truth| / truth at one held-out visit; None if the true size is 0."""
    finite("median", median)
    finite("truth", truth)
    return None if truth == 0 else abs(median - truth) / truth


def crps(samples: np.ndarray | Sequence[float], truth: float) -> float:
    """Continuous ranked probability score of samples (N,), in their unit; 0 is the best.

        E|X - truth| - E|X - X'| / 2 over the empirical distribution
    """
    members = np.asarray(samples, float)
    if members.ndim != 1 or members.size == 0:
        raise ValueError(f"samples have shape {members.shape}; must be (N,) with N >= 1.")
    return crps_sorted(np.sort(members), finite("truth", truth))


def interval_covers(interval: tuple[float, float], truth: float) -> bool:
    """Whether low <= truth <= high."""
    low, high = _ordered(interval)
    return low <= truth <= high


def interval_width(interval: tuple[float, float], *, relative_to: float | None = None) -> float:
    """high - low in the unit of the sizes; divided by `relative_to` if given."""
    low, high = _ordered(interval)
    return high - low if relative_to is None else (high - low) / relative_to


def winkler(interval: tuple[float, float], truth: float, *, level: float = 0.95) -> float:
    """Interval score: width + 2 / (1 - level) * distance of the truth to the interval (Winkler
    1972)."""
    low, high = _ordered(interval)
    outside = max(low - truth, truth - high, 0.0)
    return high - low + 2 / (1 - level) * outside


def coverage(covered: Sequence[bool]) -> float | None:
    """Share of intervals that contain the true size; None without intervals."""
    return float(np.mean(np.asarray(covered, bool))) if len(covered) else None


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if not low <= high:
        raise ValueError(f"interval=({low:g}, {high:g}): low must not be above high.")
    return low, high

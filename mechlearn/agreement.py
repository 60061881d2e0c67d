"""Dice coefficient of two masks, and CRPS of a forecast by samples."""

from __future__ import annotations

import numpy as np

__all__ = ["crps_sorted", "dice"]


def dice(one: np.ndarray, other: np.ndarray) -> float | None:
    """2 sum(min(a, b)) / (sum a + sum b) of masks or fractions in [0, 1]; None if both are empty.

    Example:
        >>> dice(np.array([True, True, False]), np.array([True, False, False])).__round__(3)
        0.667
    """
    total = float(one.sum()) + float(other.sum())
    return 2 * float(np.minimum(one, other).sum()) / total if total else None


def crps_sorted(values: np.ndarray, truth: float) -> float:
    """E|X - truth| - E|X - X'| / 2 of sorted, equally likely values (N,), in their unit."""
    n = values.size
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(np.abs(values - truth).mean() - np.sum(rank * values) / n**2)

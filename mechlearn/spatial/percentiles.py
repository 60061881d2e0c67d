"""Percentiles of brain voxels that define an intensity range."""

from __future__ import annotations

from collections.abc import Sequence

from mechlearn.checks import in_range

__all__ = ["DEFAULT_PERCENTILES", "check_percentiles"]

DEFAULT_PERCENTILES = (0.5, 99.9)


def check_percentiles(percentiles: Sequence[float]) -> tuple[float, float]:
    """Return (low, high); ValueError unless 0 <= low < high <= 100."""
    if len(percentiles) != 2:
        raise ValueError(f"percentiles={tuple(percentiles)!r}: give two numbers, low and high.")
    low, high = (in_range("percentiles", float(p), 0.0, 100.0) for p in percentiles)
    if not low < high:
        raise ValueError(f"percentiles=({low:g}, {high:g}): the first must be below the second.")
    return low, high

"""Means and medians over what is known; None where nothing is."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["mean", "median"]


def _known(values: Iterable[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are not None."""
    known = _known(values)
    return float(np.mean(known)) if known else None


def median(values: Iterable[float | None]) -> float | None:
    """Median of the values that are not None."""
    known = _known(values)
    return float(np.median(known)) if known else None

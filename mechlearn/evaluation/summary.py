"""Summaries over what is known; None where nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import stats

__all__ = ["mean", "median", "spearman"]


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


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Rank correlation with average ranks for ties; None for fewer than 3 pairs or no spread."""
    if len(a) < 3 or len(set(a)) < 2 or len(set(b)) < 2:
        return None
    return float(stats.spearmanr(a, b).statistic)

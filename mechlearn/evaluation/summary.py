"""Summaries that leave out None; None if no value is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from mechlearn.metrics.rank import clustered_interval

__all__ = ["clustered_means", "mean", "median", "spearman"]


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


def clustered_means(rows: Sequence[Mapping[str, Any]], *, seed: int = 0) -> dict[str, Any]:
    """Mean of every number of the rows, with its 95% interval that resamples patients.

    Args:
        rows: one a case, with `patient`. Keys with text are left out; None is left out of a mean
            and counted as `n_undefined_<key>`.
        seed: of the resampling.

    Returns:
        `<key>_mean`, `<key>_mean_low`, `<key>_mean_high`; no interval with fewer than two patients.

    Example:
        >>> clustered_means([{"patient": "a", "dice": 0.5}, {"patient": "a", "dice": 0.7}])
        {'dice_mean': 0.6}
    """
    out: dict[str, Any] = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        found = [(row["patient"], row.get(key)) for row in rows]
        known = [(p, float(v)) for p, v in found if isinstance(v, (int, float))]
        if not known or any(isinstance(v, str) for _, v in found):
            continue
        patients, values = zip(*known, strict=True)
        out[f"{key}_mean"] = mean(values)
        if len(set(patients)) > 1:
            interval = clustered_interval(values, patients, rng=np.random.default_rng(seed),
                                          statistic="mean")  # fmt: skip
            out |= {f"{key}_mean_low": interval.low, f"{key}_mean_high": interval.high}
        if len(known) < len(rows):
            out[f"n_undefined_{key}"] = len(rows) - len(known)
    return out

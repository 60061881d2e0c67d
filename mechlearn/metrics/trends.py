"""Effects of two settings on a score within each case, and the Pareto front of settings.

Every case (a slice) is measured in every cell of the grid. Effects are computed for each case, and
then averaged over cases with intervals that resample patients (`metrics.rank.clustered_interval`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["TwoFactors", "pareto_front", "rank_trend", "slope", "two_factors"]


@dataclass(frozen=True)
class TwoFactors:
    """Effects of two settings a and b on one case.

    Attributes:
        slope_a, slope_b: change of the score per unit of a (b), averaged over the other setting.
        rank_a, rank_b: Spearman correlation with a (b), averaged over levels of the other setting.
        interaction: change of slope_a per unit of b; 0 for additive effects, positive where each
            setting increases the effect of the other.
        together: score at the highest a and b, minus the larger score of the two cells with one
            setting at its highest and the other at its lowest level.
    """

    slope_a: float
    slope_b: float
    rank_a: float
    rank_b: float
    interaction: float
    together: float


def _spread(levels: np.ndarray, count: int, name: str) -> np.ndarray:
    levels = np.asarray(levels, float)
    if levels.shape != (count,) or count < 2 or (np.diff(levels) <= 0).any():
        raise ValueError(
            f"{name}={levels.tolist()}: must be {count} rising levels, one for each line of the "
            "values, at least two. Sweep over more values."
        )
    return levels - levels.mean()


def slope(values: np.ndarray, levels: np.ndarray) -> float:
    """Least-squares change of `values` (A,) per unit of the rising `levels` (A,)."""
    centred = _spread(levels, len(values), "levels")
    return float(centred @ np.asarray(values, float) / (centred @ centred))


def rank_trend(values: np.ndarray, levels: np.ndarray) -> float:
    """Spearman correlation of `values` (A,) with `levels` (A,); 0 if all values are equal."""
    if np.ptp(values) == 0:
        return 0.0
    return float(stats.spearmanr(levels, values).statistic)


def two_factors(values: np.ndarray, a: np.ndarray, b: np.ndarray) -> TwoFactors:
    """Least-squares fit of m + s_a (a - mean) + s_b (b - mean) + d (a - mean)(b - mean).

    Args:
        values: (A, B), one a cell of the full grid, all finite.
        a, b: levels, (A,) and (B,), rising; logarithms for a logarithmic axis.

    Raises:
        ValueError: an undefined value, fewer than two levels, levels that do not rise.
    """
    y = np.asarray(values, float)
    if y.ndim != 2 or not np.isfinite(y).all():
        raise ValueError(
            f"values of shape {y.shape} with {int((~np.isfinite(y)).sum())} undefined: must be a "
            "grid with a number in every cell. Leave the case out and count it."
        )
    u, v = _spread(a, y.shape[0], "a"), _spread(b, y.shape[1], "b")
    return TwoFactors(
        slope_a=float(u @ y.mean(axis=1) / (u @ u)),
        slope_b=float(v @ y.mean(axis=0) / (v @ v)),
        rank_a=float(np.mean([rank_trend(column, u) for column in y.T])),
        rank_b=float(np.mean([rank_trend(line, v) for line in y])),
        interaction=float(u @ y @ v / ((u @ u) * (v @ v))),
        together=float(y[-1, -1] - max(y[-1, 0], y[0, -1])),
    )


def pareto_front(cost: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Pareto front, (N,) bool: choices that no other choice dominates (low cost, high gain).

    A choice dominates another one if it is at least as good in both and better in one. A choice
    with an undefined number is not on the front and dominates none.
    """
    cost, gain = np.asarray(cost, float), np.asarray(gain, float)
    known = np.isfinite(cost) & np.isfinite(gain)
    front = np.zeros(cost.shape, bool)
    for i in np.flatnonzero(known):
        as_good = known & (cost <= cost[i]) & (gain >= gain[i])
        better = as_good & ((cost < cost[i]) | (gain > gain[i]))
        front[i] = not better.any()
    return front

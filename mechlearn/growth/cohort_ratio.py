"""Cohort ratio, the baseline: last size times the cohort's ratios of consecutive sizes.

    z = log((V2 + f) / (V1 + f)) over consecutive visits of the cohort; each patient has weight 1
    forecast: max((V_last + f) exp(z) - f, 0)

f, the floor, is the 5th percentile of the cohort's positive sizes. `centred` subtracts the median:
carry-forward with the cohort's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.quantiles import LEVELS, step_quantiles
from mechlearn.growth.size_history import History

__all__ = ["FLOOR_PERCENTILE", "CohortRatio", "cohort_floor"]

FLOOR_PERCENTILE = 5.0


def cohort_floor(sizes: np.ndarray) -> float:
    """The size added before a logarithm is taken; 1 where no size is positive."""
    positive = sizes[sizes > 0]
    return float(np.percentile(positive, FLOOR_PERCENTILE)) if positive.size else 1.0


@dataclass(frozen=True)
class CohortRatio:
    """Equally likely log ratios (L,) of consecutive sizes."""

    changes: np.ndarray

    @classmethod
    def fit(cls, histories: Sequence[History], floor: float) -> CohortRatio:
        """From series with at least two days; ValueError where no series has two."""
        pairs: dict[str, list[np.ndarray]] = {}
        for history in histories:
            if history.days.size > 1:
                logs = np.log(history.sizes + floor)
                pairs.setdefault(history.series.patient, []).append(np.diff(logs))
        if not pairs:
            raise ValueError("cohort ratio: no series has two visits on different days.")
        found = [np.concatenate(group) for group in pairs.values()]
        weights = np.concatenate([np.full(z.size, 1 / z.size) for z in found])
        return cls(step_quantiles(np.concatenate(found), weights, LEVELS))

    @property
    def centred(self) -> CohortRatio:
        """The same ratios with median 1: the median forecast is "no change"."""
        return CohortRatio(self.changes - np.median(self.changes))

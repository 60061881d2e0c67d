"""How measured sizes scatter around a law: covariance of log(area + floor) over the visits.

    log(a_v + floor) = log(law(t_v) + floor) + delta(t_v) + sigma e_v

delta is what the law lacks (Kennedy and O'Hagan 2001), a Brownian motion of variance tau^2 a day
from the first visit on; e is measurement noise. With a large tau a forecast starts from the last
visit, with a small one from the law: the data of a cohort decide (`growth.population`).

Sizes are scaled by the first measurement, and a cohort cannot tell noise there from a tumour that
was as large: sigma is the scatter that the later visits show, tau takes up the rest. Read the two
together, not sigma as the error of one outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mechlearn.checks import positive

__all__ = ["Discrepancy", "mirrored"]


@dataclass(frozen=True)
class Discrepancy:
    """sigma: scatter of one visit in log units; tau: model error per square root of a day."""

    sigma: float
    tau: float

    def __post_init__(self) -> None:
        positive("population.sigma", self.sigma)
        positive("population.tau", self.tau)

    def covariance(self, days: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(S, V, V) at days (S, V) since the first visit; the identity where nothing is seen."""
        shared = np.minimum(days[:, :, None], days[:, None, :])
        both = seen[:, :, None] & seen[:, None, :]
        unit = np.eye(days.shape[1])
        return np.where(both, self.sigma**2 * unit + self.tau**2 * shared, unit)

    def with_later(self, days: np.ndarray, seen: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Covariance (S, V, T) of delta at the visits with delta at `later` (S, T)."""
        shared = np.minimum(days[:, :, None], np.maximum(later, 0.0)[:, None, :])
        return self.tau**2 * shared * seen[:, :, None]

    def paths(self, days: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Draws of delta (n, T) at days (T,), in any order, from standard normal numbers (n, T)."""
        order = np.argsort(days, kind="stable")
        gaps = np.diff(np.maximum(days[order], 0.0), prepend=0.0)
        walked = np.empty_like(normals)
        walked[:, order] = self.tau * np.cumsum(normals * np.sqrt(gaps), axis=1)
        return walked


def mirrored(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal draws, the second half the first one's negatives: medians hardly jitter."""
    half = rng.normal(size=((shape[0] + 1) // 2, *shape[1:]))
    return np.concatenate([half, -half])[: shape[0]]

"""Measurement noise and model error: covariance of log(area + floor) over the visits.

    log(a_v + floor) = log(model(t_v) + floor) + delta(t_v) + sigma e_v

delta is the model error (Kennedy and O'Hagan 2001), a Brownian motion of variance tau^2 a day from
the first visit on; e is measurement noise. With a large tau a forecast starts from the last visit,
with a small tau from the growth model. tau is estimated from a cohort (`growth.population`).

Sizes are scaled by the first measurement, so its noise cannot be separated from the size of the
tumour: sigma is estimated from the later visits, and tau includes the remaining scatter. Sigma
alone is therefore not the error of one segmentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mechlearn.checks import positive

__all__ = ["Discrepancy", "ScatterBasis", "Whitening", "mirrored"]


@dataclass(frozen=True)
class Whitening:
    """Inverse Cholesky factor of the covariance of visits, applied in O(V) by a Kalman filter.

    The whitened residuals are the innovations of the Kalman filter over their standard deviations
    (Durbin and Koopman 2012, section 4.2).

    Attributes:
        gains: (S, V), Kalman gain after each visit; 0 where the visits are independent.
        linked: (S, V), 1 for visits with model error, 0 for padding and independent errors.
        scales: (S, V), one over the standard deviation of each innovation.
    """

    gains: np.ndarray
    linked: np.ndarray
    scales: np.ndarray

    @classmethod
    def diagonal(cls, deviations: np.ndarray) -> Whitening:
        """From standard deviations (S, V) of independent errors."""
        none = np.zeros_like(deviations)
        return cls(none, none, 1 / deviations)

    def __getitem__(self, index: np.ndarray | tuple[Any, ...]) -> Whitening:
        parts = (self.gains, self.linked, self.scales)
        return Whitening(*(part[index] for part in parts))

    def apply(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Whiten values (N, V, K) of series `rows` (N,); by default all series in order."""
        own = self if rows is None else self[rows]
        if not self.linked.any():
            return np.asarray(values * own.scales[..., None])
        out = np.empty(values.shape)
        expected = np.zeros((values.shape[0], values.shape[2]))
        for v in range(values.shape[1]):
            out[:, v] = values[:, v] - own.linked[:, v, None] * expected
            expected = expected + own.gains[:, v, None] * out[:, v]
        return out * own.scales[..., None]


@dataclass(frozen=True)
class ScatterBasis:
    """Eigenvectors (S, V, V) and eigenvalues (S, V) of min(t_u, t_v) for all series of a cohort.

    In this basis the covariance of the visits is diagonal for every sigma and tau. Both are zero
    for padding.
    """

    vectors: np.ndarray
    values: np.ndarray
    unseen: np.ndarray  # (S,), number of padding visits

    @classmethod
    def of(cls, days: np.ndarray, seen: np.ndarray) -> ScatterBasis:
        """From days (S, V) since the first visit."""
        both = seen[:, :, None] & seen[:, None, :]
        shared = np.where(both, np.minimum(days[:, :, None], days[:, None, :]), 0.0)
        values, vectors = np.linalg.eigh(shared)
        return cls(vectors, np.maximum(values, 0.0), (~seen).sum(axis=1))

    def project(self, values: np.ndarray) -> np.ndarray:
        """Values (S, V, K) in this basis."""
        return np.asarray(self.vectors.transpose(0, 2, 1) @ values)

    def variances(self, sigma: float, tau: float) -> np.ndarray:
        """Eigenvalues (S, V) of the covariance sigma^2 I + tau^2 min(t_u, t_v)."""
        return np.asarray(sigma**2 + tau**2 * self.values)


@dataclass(frozen=True)
class Discrepancy:
    """sigma: scatter of one visit in log units; tau: model error per square root of a day."""

    sigma: float
    tau: float

    def __post_init__(self) -> None:
        positive("population.sigma", self.sigma)
        positive("population.tau", self.tau)

    def covariance(self, days: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """(S, V, V) at days (S, V) since the first visit; the identity for padding."""
        shared = np.minimum(days[:, :, None], days[:, None, :])
        both = seen[:, :, None] & seen[:, None, :]
        unit = np.eye(days.shape[1])
        return np.where(both, self.sigma**2 * unit + self.tau**2 * shared, unit)

    def whitening(self, days: np.ndarray, seen: np.ndarray) -> Whitening:
        """The inverse Cholesky factor of `covariance`; days ascend within a series."""
        gaps = np.diff(np.maximum(days, 0.0), axis=1, prepend=0.0)
        gains, scales = np.zeros(days.shape), np.ones(days.shape)
        variance = np.zeros(len(days))
        for v in range(days.shape[1]):
            variance = variance + self.tau**2 * gaps[:, v]
            total = variance + self.sigma**2
            gains[:, v] = np.where(seen[:, v], variance / total, 0.0)
            scales[:, v] = np.where(seen[:, v], 1 / np.sqrt(total), 1.0)
            variance = variance * (1 - gains[:, v])
        return Whitening(gains, seen.astype(float), scales)

    def with_later(self, days: np.ndarray, seen: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Covariance (S, V, T) of delta at the visits and delta at the days `later` (S, T)."""
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
    """Antithetic standard normal draws: the second half is the first with the sign changed."""
    half = rng.normal(size=((shape[0] + 1) // 2, *shape[1:]))
    return np.concatenate([half, -half])[: shape[0]]

"""Stochastic Gompertz growth: the growth model in the learned forecast.

Gompertz growth towards a capacity K, with noise in the growth rate, is an Ornstein-Uhlenbeck
process in the logarithm of the size (Ricciardi 1977):

    d log V = -k (log V - log K) dt + s sqrt(2 k) dW,      reading = log V + r e

log K = mu + w e_patient differs between patients. All terms are Gaussian, so the forecast of one
patient is exact: Gaussian process regression with the kernel
w^2 + s^2 exp(-k |t - t'|) + r^2 [t = t']. With growing horizon its mean returns to the capacity,
and its standard deviation grows from that of one reading to that of the cohort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

__all__ = ["GompertzDiffusion"]

# Prior of log (w, s, k, r). 1/k is about 250 days in gliomas under treatment.
_PRIOR = np.log([0.3, 0.9, 1 / 250, 0.3])
_WIDTH = np.array([0.7, 0.7, 0.3, 0.5])
_MOST_SERIES = 150  # evenly spaced in the list: enough for four parameters
_MOST_READINGS = 30  # the last ones: older readings do not change a forecast
_JITTER = 1e-6


@dataclass(frozen=True)
class GompertzDiffusion:
    """Parameters of a cohort: mean log capacity mu, its standard deviation w between patients,
    stationary standard deviation s (`wandering`), rate k (1/day) and reading noise r.

    Example:
        >>> model = GompertzDiffusion(10.0, 0.3, 0.9, 1 / 250, 0.3)
        >>> middle, width = model.predict(np.array([0.0]), np.array([8.0]), 100.0)
        >>> bool(8.0 < middle < 10.0)
        True
    """

    log_capacity: float
    patient_spread: float
    wandering: float
    rate_per_day: float
    noise: float

    @classmethod
    def fit(cls, series: Sequence[tuple[np.ndarray, np.ndarray]]) -> GompertzDiffusion:
        """Maximum a posteriori from (days, log sizes) of many series."""
        step = max(1, -(-len(series) // _MOST_SERIES))
        some = [(t[-_MOST_READINGS:], y[-_MOST_READINGS:]) for t, y in series[::step]]
        groups = _padded(some)

        def loss(theta: np.ndarray) -> float:
            value, _ = _likelihood(theta, groups)
            return value + 0.5 * float(np.sum(((theta - _PRIOR) / _WIDTH) ** 2))

        found = minimize(loss, _PRIOR, method="Nelder-Mead",
                         options={"maxiter": 150, "xatol": 0.02, "fatol": 0.02})  # fmt: skip
        _, mean = _likelihood(found.x, groups)
        return cls(mean, *(float(v) for v in np.exp(found.x)))

    def predict(self, days: np.ndarray, logs: np.ndarray, day: float) -> tuple[float, float]:
        """Mean and standard deviation of a reading's log size on `day`, from readings (V,)."""
        t, y = days[-_MOST_READINGS:], logs[-_MOST_READINGS:]
        w2, s2, r2 = self.patient_spread**2, self.wandering**2, self.noise**2
        among = w2 + s2 * np.exp(-self.rate_per_day * np.abs(t[:, None] - t))
        later = w2 + s2 * np.exp(-self.rate_per_day * np.abs(day - t))
        factor = cho_factor(among + (r2 + _JITTER) * np.eye(t.size))
        mean = self.log_capacity + later @ cho_solve(factor, y - self.log_capacity)
        variance = w2 + s2 + r2 - later @ cho_solve(factor, later)
        return float(mean), float(np.sqrt(max(variance, _JITTER)))


def _padded(series: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Series grouped by length: days (S, V) and logs (S, V) of every group."""
    lengths = sorted({t.size for t, _ in series})
    return [
        (np.stack([t for t, _ in series if t.size == n]),
         np.stack([y for _, y in series if y.size == n]))
        for n in lengths
    ]  # fmt: skip


def _likelihood(
    theta: np.ndarray, groups: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """-log likelihood at the mean that maximises it, and that mean."""
    w, s, k, r = np.exp(theta)
    a = b = c = logdet = 0.0
    for t, y in groups:
        gaps = np.abs(t[:, :, None] - t[:, None, :])
        kernel = w**2 + s**2 * np.exp(-k * gaps) + (r**2 + _JITTER) * np.eye(t.shape[1])
        factor = np.linalg.cholesky(kernel)
        white = np.linalg.solve(factor, np.stack([np.ones_like(y), y], axis=-1))
        one, reading = white[..., 0], white[..., 1]
        a += float(np.sum(one * one))
        b += float(np.sum(one * reading))
        c += float(np.sum(reading * reading))
        logdet += 2 * float(np.log(np.einsum("svv->sv", factor)).sum())
    return 0.5 * (c - b * b / a + logdet), b / a

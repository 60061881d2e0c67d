"""Learned change of the log size: a robust linear location, a log-linear scale, pooled errors.

    z = log((V2 + f) / (V1 + f)) = b0 + b'x + exp(c0 + c'x) e,     e ~ the cohort's quantiles

x are standardised features; b and c have a ridge penalty. The errors come from cross-fitting over
patients. The model holds coefficients and 200 quantiles, and no patient's row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ResidualModel", "patient_folds"]

LEVELS = np.linspace(0.0025, 0.9975, 200)
_RIDGE_LOCATION = 20.0  # ridge penalty of a coefficient, in patients
_RIDGE_SCALE = 150.0
_ROUNDS, _DEGREES = 4, 4.0  # rounds of reweighting, and degrees of freedom of the Student errors
_LEAST_ERROR = 0.1  # added before the logarithm of an error is taken
_CLIP = 3.0  # features are clipped at this number of standard deviations


def patient_folds(patients: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Fold (N,) of every row; rows of one patient stay together."""
    names, which = np.unique(patients, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(names.size) % count
    return np.asarray(fold[which])


@dataclass(frozen=True)
class ResidualModel:
    """Coefficients on standardised features; `quantiles` of the scaled errors at `LEVELS`."""

    middle: np.ndarray  # (F,) medians, replace unknown features
    centre: np.ndarray  # (F,)
    width: np.ndarray  # (F,)
    location: np.ndarray  # (1 + F,)
    scale: np.ndarray  # (1 + F,)
    quantiles: np.ndarray

    @classmethod
    def fit(
        cls, features: np.ndarray, change: np.ndarray, weights: np.ndarray, patients: np.ndarray,
        *, n_folds: int = 5, seed: int = 0,
    ) -> ResidualModel:
        """From features (N, F), changes z (N,), weights (N,) whose sum over a patient is 1."""
        fold = patient_folds(patients, min(n_folds, np.unique(patients).size), seed)
        errors = np.empty(change.size)
        for k in range(fold.max() + 1):
            here, rest = fold == k, fold != k
            model = cls._coefficients(features[rest], change[rest], weights[rest])
            errors[here] = (change[here] - model.mean(features[here])) / model.spread(
                features[here])  # fmt: skip
        final = cls._coefficients(features, change, weights)
        order = np.argsort(errors, kind="stable")
        total = np.cumsum(weights[order])
        position = (total - weights[order] / 2) / total[-1]
        kept = np.interp(LEVELS, position, errors[order])
        return cls(final.middle, final.centre, final.width, final.location, final.scale, kept)

    @classmethod
    def _coefficients(
        cls, features: np.ndarray, change: np.ndarray, weights: np.ndarray
    ) -> ResidualModel:
        known = np.isfinite(features)
        some = known.any(axis=0)
        middle = np.zeros(features.shape[1])
        middle[some] = np.nanmedian(features[:, some], axis=0)
        full = np.where(known, features, middle)
        centre, width = full.mean(axis=0), full.std(axis=0)
        width = np.where(width > 1e-9, width, 1.0)
        x = _design(full, centre, width)
        location = _robust(x, change, weights)
        off = np.log(np.abs(change - x @ location) + _LEAST_ERROR)
        scale = _ridge(x, off, weights, _RIDGE_SCALE)
        return cls(middle, centre, width, location, scale, np.zeros(0))

    def _standard(self, features: np.ndarray) -> np.ndarray:
        full = np.where(np.isfinite(features), features, self.middle)
        return _design(full, self.centre, self.width)

    def mean(self, features: np.ndarray) -> np.ndarray:
        """Location (N,) of the change."""
        return np.asarray(self._standard(features) @ self.location)

    def spread(self, features: np.ndarray) -> np.ndarray:
        """Scale (N,) of the change."""
        return np.asarray(np.exp(self._standard(features) @ self.scale))

    def changes(self, features: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Quantiles (N, L) of the change."""
        error = np.interp(levels, LEVELS, self.quantiles)
        return self.mean(features)[:, None] + self.spread(features)[:, None] * error

    def plain(self) -> dict[str, list[float]]:
        """All attributes as lists of numbers with five significant digits."""
        return {k: [float(f"{v:.5g}") for v in getattr(self, k)] for k in self.__annotations__}


def _design(full: np.ndarray, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    x = np.clip((full - centre) / width, -_CLIP, _CLIP)
    return np.column_stack([np.ones(len(x)), x])


def _ridge(x: np.ndarray, y: np.ndarray, weights: np.ndarray, strength: float) -> np.ndarray:
    """Weighted ridge regression; the intercept has no penalty."""
    penalty = strength * np.eye(x.shape[1])
    penalty[0, 0] = 1e-9
    weighted = x * weights[:, None]
    return np.linalg.solve(weighted.T @ x + penalty, weighted.T @ y)


def _robust(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ridge regression with Student errors, by iteratively reweighted least squares."""
    now, found = weights, np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        found = _ridge(x, y, now, _RIDGE_LOCATION * now.sum() / weights.sum())
        error = y - x @ found
        variance = np.average(error**2, weights=weights) * (_DEGREES - 2) / _DEGREES + 1e-12
        now = weights * (_DEGREES + 1) / (_DEGREES + error**2 / variance)
    return found

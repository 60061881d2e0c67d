"""Weights of an ensemble of growth models, by the CRPS of their held-out forecasts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

__all__ = ["ensemble_weights", "mean_distance"]

logger = logging.getLogger(__name__)

_LEAST_WEIGHT = 0.02  # a smaller weight becomes 0: such a member hardly changes a forecast
_EQUAL_PATIENTS = 10.0  # strength of the penalty towards equal weights, in patients


def ensemble_weights(
    samples: np.ndarray, truth: np.ndarray, scale: np.ndarray, patients: Sequence[str]
) -> np.ndarray:
    """Weights (L,) that minimise the ensemble's mean CRPS, with a penalty towards equal ones.

    For a mixture CRPS = sum_i w_i E|X_i - y| - 1/2 sum_ij w_i w_j E|X_i - X_j|, a convex quadratic
    form on the simplex (Gneiting and Raftery 2007).

    Args:
        samples: (L, S, n) forecasts of L growth models.
        truth: (S,) sizes.
        scale: (S,), divides the scores, so that large tumours do not dominate the mean.
        patients: (S,) names; every patient has the same weight.
    """
    laws, _, n = samples.shape
    _, which, counts = np.unique(np.asarray(patients), return_inverse=True, return_counts=True)
    share = 1 / counts[which] / scale
    share = share / counts.size
    ordered = np.sort(samples, axis=2)
    far = np.array([(np.abs(s - truth[:, None]).mean(axis=1) * share).sum() for s in ordered])
    between = np.empty((laws, laws))
    for i in range(laws):
        for j in range(i + 1):
            between[i, j] = between[j, i] = (mean_distance(ordered[i], ordered[j]) * share).sum()
    equal = np.full(laws, 1 / laws)
    pull = _EQUAL_PATIENTS / counts.size * float(far.mean()) / 2

    def loss(w: np.ndarray) -> float:
        return float(far @ w - 0.5 * w @ between @ w + pull * np.sum((w - equal) ** 2))

    found = minimize(
        loss, equal, method="SLSQP", bounds=[(0.0, 1.0)] * laws,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    if not found.success:
        logger.warning("ensemble weights: %s; equal weights are taken", found.message)
        found.x = equal
    weights = np.where(found.x < _LEAST_WEIGHT, 0.0, found.x)
    logger.info("ensemble of %d growth models, %d patients: loss %.5g, with equal weights %.5g",
                laws, counts.size, loss(found.x), loss(equal))  # fmt: skip
    return weights / weights.sum()


def mean_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """E|X - Y| of sorted samples (S, n) and (S, m), from their empirical distributions."""
    both = np.concatenate([a, b], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    values = np.take_along_axis(both, order, 1)
    mine = np.cumsum(order < a.shape[1], axis=1)[:, :-1] / a.shape[1]
    theirs = np.cumsum(order >= a.shape[1], axis=1)[:, :-1] / b.shape[1]
    apart = mine * (1 - theirs) + theirs * (1 - mine)
    return np.asarray((np.diff(values, axis=1) * apart).sum(axis=1))

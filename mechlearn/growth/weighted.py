"""Distributions as quantiles: weighted quantiles, mixtures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["LEVELS", "mixture", "step_quantiles"]

_POINTS = 400
LEVELS = (np.arange(_POINTS) + 0.5) / _POINTS  # midpoints: equally likely values


def step_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values (N,): the smallest value with at least that much weight."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    at = np.searchsorted(reached / reached[-1], levels).clip(0, values.size - 1)
    return np.asarray(values[order][at])


def mixture(
    members: Sequence[np.ndarray], weights: Sequence[float], levels: np.ndarray = LEVELS
) -> np.ndarray:
    """Quantiles at `levels` of a mixture of members, each given by equally likely values."""
    kept = [(m, w) for m, w in zip(members, weights, strict=True) if w > 0]
    values = np.concatenate([m for m, _ in kept])
    shares = np.concatenate([np.full(m.size, w / m.size) for m, w in kept])
    return step_quantiles(values, shares, levels)

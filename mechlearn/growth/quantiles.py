"""Weighted quantiles, and quantiles of mixtures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

__all__ = ["LEVELS", "mixture", "step_quantiles", "weighted_quantiles"]

_POINTS = 400
LEVELS = (np.arange(_POINTS) + 0.5) / _POINTS  # midpoints: equally likely values


def step_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values (N,): the smallest value whose cumulative weight reaches the
    level."""
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


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values (N,) at levels in (0, 1), with the plotting position of a
    finite sample; beyond the outermost values they are extrapolated on a normal scale."""
    order = np.argsort(values, kind="stable")
    v, w = values[order], weights[order] / weights.sum()
    effective = 1 / np.sum(w**2)
    position = (np.cumsum(w) - w / 2) * effective / (effective + 1) + 0.5 / (effective + 1)
    at, known = ndtri(levels), ndtri(position)
    inner = np.interp(at, known, v)
    k = max(1, int(0.1 * v.size))  # slopes of the tails from the outer tenths
    low = max((v[k] - v[0]) / (known[k] - known[0]), 0.0) if v.size > 1 else 1.0
    high = max((v[-1] - v[-1 - k]) / (known[-1] - known[-1 - k]), 0.0) if v.size > 1 else 1.0
    inner = np.where(at < known[0], v[0] + low * (at - known[0]), inner)
    return np.where(at > known[-1], v[-1] + high * (at - known[-1]), inner)

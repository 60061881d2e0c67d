"""Levenberg-Marquardt for many small least-squares problems at once, with bounds.

Each problem has its own damping (Nielsen 1999) and its own active set: a parameter on a bound
whose gradient points outwards is held for the step. Problems that have converged leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Minima", "minimise", "solve_spd"]

# (x (n, P), rows (n,) of the problems) -> residuals (n, M), Jacobian (n, M, P)
Model = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_DAMPING = 1e-2  # first damping, as a share of the diagonal of J'J
_TINY = 1e-300


@dataclass(frozen=True)
class Minima:
    """x (N, P), cost (N,) = sum of squared residuals, converged (N,) bool, iterations (N,)."""

    x: np.ndarray
    cost: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray


def minimise(
    model: Model,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
) -> Minima:
    """Minimise sum(residuals^2) of every problem from its start.

    Args:
        model: residuals and Jacobian of some of the problems.
        start, low, high: (N, P); a start outside the bounds moves onto them.
        tolerance: a problem has converged once a step promises and brings less than this share of
            its cost, or moves it by less than this share of its size.
        max_iterations: steps tried before a problem is given up.

    Returns:
        The minima; a problem whose residuals are not finite at the start has infinite cost.
    """
    n, p = start.shape
    x = np.clip(start, low, high)
    rows = np.arange(n)
    r, jac = model(x, rows)
    cost = _square(r)
    out = Minima(x.copy(), cost.copy(), np.zeros(n, bool), np.zeros(n, int))
    keep = np.isfinite(cost)
    out.cost[~keep] = np.inf
    state = _State(rows[keep], x[keep], r[keep], jac[keep], cost[keep], low[keep], high[keep])
    state.damping, state.factor = np.full(keep.sum(), _DAMPING), np.full(keep.sum(), 2.0)
    for iteration in range(1, max_iterations + 1):
        if not state.rows.size:
            break
        done = _iterate(state, model, tolerance)
        finished = state.rows[done]
        out.x[finished], out.cost[finished] = state.x[done], state.cost[done]
        out.converged[finished] = True
        out.iterations[state.rows] = iteration
        if done.any():
            state.keep(~done)
    out.x[state.rows], out.cost[state.rows] = state.x, state.cost
    return out


class _State:
    """The problems that are still being solved."""

    damping: np.ndarray
    factor: np.ndarray

    def __init__(self, rows: np.ndarray, x: np.ndarray, r: np.ndarray, jac: np.ndarray,
                 cost: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:  # fmt: skip
        self.rows, self.x, self.cost, self.low, self.high = rows, x, cost, low, high
        self.gradient, self.hessian = _normal(r, jac)

    def keep(self, which: np.ndarray) -> None:
        for name, held in vars(self).items():
            setattr(self, name, held[which])


def _iterate(s: _State, model: Model, tolerance: float) -> np.ndarray:
    """One damped step of every problem; which of them have converged."""
    bound = ((s.x <= s.low) & (s.gradient > 0)) | ((s.x >= s.high) & (s.gradient < 0))
    gradient = np.where(bound, 0.0, s.gradient)
    diagonal = np.einsum("npp->np", s.hessian)
    scale = np.maximum(diagonal, 1e-12 * diagonal.max(axis=1, keepdims=True) + _TINY)
    damped = s.hessian.copy()
    np.einsum("npp->np", damped)[...] += s.damping[:, None] * scale
    step = solve_spd(damped, -gradient, ~bound)
    trial = np.clip(s.x + step, s.low, s.high)
    step = trial - s.x
    curvature = np.einsum("np,npq,nq->n", step, s.hessian, step)
    promised = -2 * np.einsum("np,np->n", gradient, step) - curvature
    r, jac = model(trial, s.rows)
    cost = _square(r)
    won = s.cost - cost
    better = won > 0  # False for NaN
    small = np.abs(step).max(axis=1) <= tolerance * (np.abs(s.x).max(axis=1) + tolerance)
    flat = (np.abs(promised) <= tolerance * s.cost) & (np.abs(won) <= tolerance * s.cost)
    done = small | flat | (s.cost <= _TINY)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(promised > 0, won / promised, 0.0)
    easier = np.maximum(1 / 3, 1 - (2 * np.clip(ratio, 0, 1) - 1) ** 3)
    s.damping = np.clip(np.where(better, s.damping * easier, s.damping * s.factor), 1e-12, 1e16)
    s.factor = np.where(better, 2.0, 2 * s.factor)
    if better.any():
        s.x[better], s.cost[better] = trial[better], cost[better]
        s.gradient[better], s.hessian[better] = _normal(r[better], jac[better])
    return np.asarray(done)


def _square(r: np.ndarray) -> np.ndarray:
    return np.einsum("nm,nm->n", r, r)


def _normal(r: np.ndarray, jac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J'r (n, P) and J'J (n, P, P)."""
    across = jac.transpose(0, 2, 1)
    return (across @ r[..., None])[..., 0], across @ jac


def solve_spd(matrix: np.ndarray, right: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Cholesky solution of (n, P, P) x = (n, P) in the free unknowns (n, P); 0 in the others.

    The loops run over the few parameters; every line works on all problems at once.
    """
    p = right.shape[1]
    factor: list[list[np.ndarray]] = [[] for _ in range(p)]
    y: list[np.ndarray] = []
    for i in range(p):
        for j in range(i):
            total = matrix[:, i, j] * (free[:, i] & free[:, j])
            for k in range(j):
                total = total - factor[i][k] * factor[j][k]
            factor[i].append(total * factor[j][j])
        pivot = np.where(free[:, i], matrix[:, i, i], 1.0)
        floor = 1e-14 * pivot + _TINY
        for k in range(i):
            pivot = pivot - factor[i][k] ** 2
        factor[i].append(1 / np.sqrt(np.maximum(pivot, floor)))  # reciprocal of the diagonal
        total = np.where(free[:, i], right[:, i], 0.0)
        for k in range(i):
            total = total - factor[i][k] * y[k]
        y.append(total * factor[i][i])
    x: list[np.ndarray] = [np.empty(0)] * p
    for i in reversed(range(p)):
        total = y[i]
        for k in range(i + 1, p):
            total = total - factor[k][i] * x[k]
        x[i] = total * factor[i][i]
    return np.stack(x, axis=1)

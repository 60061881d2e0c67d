"""Batched Levenberg-Marquardt with bounds, for many small least-squares problems.

Every problem has its damping (Nielsen 1999) and its active set: a parameter on a bound whose
gradient points outwards is held in this step. Converged problems leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Minima", "minimise", "solve_spd"]

# (x (n, P), rows (n,) of the problems) -> residuals (n, M), Jacobian (n, M, P)
Model = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_DAMPING = 1e-2  # first damping, as a share of the steepest curvature
_PATIENCE = 25  # iterations between two checks of the decrease of the cost
_CREEPING = 1e-3  # converged if the relative decrease in _PATIENCE iterations is less
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
    width: np.ndarray | None = None,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
) -> Minima:
    """Minimise sum(residuals^2) of every problem from its start.

    Args:
        model: residuals and Jacobian of some of the problems.
        start, low, high: (N, P); a start outside the bounds moves onto them.
        width: (P,), typical step of each parameter: scales the damping. Scaling by the curvature
            (Marquardt's choice) is unstable where the residuals do not depend on a direction.
        tolerance: relative. A problem has converged if the predicted and the actual decrease of its
            cost are smaller, if its step is smaller, or if the mean decrease over _PATIENCE steps
            is smaller.
        max_iterations: largest number of steps. A problem that reaches it counts as converged if
            its cost decreased by less than _CREEPING in the last steps.

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
    widths = np.broadcast_to(1.0 if width is None else width, (n, p))
    state = _State(rows[keep], x[keep], r[keep], jac[keep], cost[keep], low[keep], high[keep],
                   widths[keep])  # fmt: skip
    for iteration in range(1, max_iterations + 1):
        if not state.rows.size:
            break
        done = _iterate(state, model, tolerance)
        if iteration % _PATIENCE == 0 and iteration < max_iterations:  # last check: below
            done |= state.stalled(_PATIENCE * tolerance)
        finished = state.rows[done]
        out.x[finished], out.cost[finished] = state.x[done], state.cost[done]
        out.converged[finished] = True
        out.iterations[state.rows] = iteration
        if done.any():
            state.keep(~done)
    out.x[state.rows], out.cost[state.rows] = state.x, state.cost
    out.converged[state.rows] = state.stalled(_CREEPING)
    return out


class _State:
    """The problems that are still being solved."""

    def __init__(self, rows: np.ndarray, x: np.ndarray, r: np.ndarray, jac: np.ndarray,
                 cost: np.ndarray, low: np.ndarray, high: np.ndarray,
                 width: np.ndarray) -> None:  # fmt: skip
        self.rows, self.x, self.cost, self.low, self.high = rows, x, cost, low, high
        self.r, self.jac, self.width, self.asked_at = r, jac, width, np.full_like(cost, np.inf)
        self.gradient, self.hessian = _normal(r, jac)
        steepest = (np.einsum("npp->np", self.hessian) * width**2).max(axis=1)
        self.damping, self.factor = _DAMPING * steepest, np.full(rows.size, 2.0)

    def stalled(self, share: float) -> np.ndarray:
        """Which costs have decreased by less than this share since the last call."""
        little = self.asked_at - self.cost <= share * self.cost
        self.asked_at = self.cost.copy()
        return np.asarray(little)

    def keep(self, which: np.ndarray) -> None:
        for name, held in vars(self).items():
            setattr(self, name, held[which])

    def accept(self, better: np.ndarray, trial: np.ndarray, cost: np.ndarray, r: np.ndarray,
               jac: np.ndarray) -> None:  # fmt: skip
        if better.all():
            self.x, self.cost, self.r, self.jac = trial, cost, r, jac
            self.gradient, self.hessian = _normal(r, jac)
        elif better.any():
            self.x[better], self.cost[better] = trial[better], cost[better]
            self.r[better], self.jac[better] = r[better], jac[better]
            self.gradient[better], self.hessian[better] = _normal(r[better], jac[better])


def _iterate(s: _State, model: Model, tolerance: float) -> np.ndarray:
    """One damped step of every problem; returns which of them have converged."""
    bound = ((s.x <= s.low) & (s.gradient > 0)) | ((s.x >= s.high) & (s.gradient < 0))
    gradient = np.where(bound, 0.0, s.gradient)
    damped = s.hessian.copy()
    np.einsum("npp->np", damped)[...] += s.damping[:, None] / s.width**2
    trial = np.clip(s.x + solve_spd(damped, -gradient, ~bound), s.low, s.high)
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
    s.damping = np.clip(np.where(better, s.damping * easier, s.damping * s.factor), 1e-15, 1e150)
    s.factor = np.where(better, 2.0, np.minimum(2 * s.factor, 1e9))
    s.accept(better, trial, cost, r, jac)
    return np.asarray(done)


def _square(r: np.ndarray) -> np.ndarray:
    return np.einsum("nm,nm->n", r, r)


def _normal(r: np.ndarray, jac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J'r (n, P) and J'J (n, P, P)."""
    across = jac.transpose(0, 2, 1)
    return (across @ r[..., None])[..., 0], across @ jac


def solve_spd(matrix: np.ndarray, right: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Cholesky solution of (n, P, P) x = (n, P) in the free unknowns (n, P); 0 in the others.

    The loops run over the parameters; every operation is vectorised over the problems.
    """
    factor = _cholesky(matrix, free)
    p = right.shape[1]
    y: list[np.ndarray] = []
    for i in range(p):
        total = np.where(free[:, i], right[:, i], 0.0)
        for k in range(i):
            total -= factor[i][k] * y[k]
        y.append(total * factor[i][i])
    x: list[np.ndarray] = [np.empty(0)] * p
    for i in reversed(range(p)):
        total = y[i].copy()
        for k in range(i + 1, p):
            total -= factor[k][i] * x[k]
        x[i] = total * factor[i][i]
    return np.stack(x, axis=1)


def _cholesky(matrix: np.ndarray, free: np.ndarray) -> list[list[np.ndarray]]:
    """Rows of the factors, with reciprocal diagonals; unit rows for held unknowns."""
    factor: list[list[np.ndarray]] = []
    for i in range(matrix.shape[1]):
        row: list[np.ndarray] = []
        for j in range(i):
            total = matrix[:, i, j] * (free[:, i] & free[:, j])
            for k in range(j):
                total -= row[k] * factor[j][k]
            row.append(total * factor[j][j])
        pivot = np.where(free[:, i], matrix[:, i, i], 1.0)
        floor = 1e-14 * pivot + _TINY
        for value in row:
            pivot -= value * value
        row.append(1 / np.sqrt(np.maximum(pivot, floor)))
        factor.append(row)
    return factor

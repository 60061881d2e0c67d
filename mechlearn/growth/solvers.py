"""Solvers of fits: all fits of a batch at once, or one by one through lmfit.

Both minimise the same objective. An engine takes a batch and its tasks and returns, for every task,
the best fit over its starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import lmfit
import numpy as np

from mechlearn.growth.constraints import lmfit_coordinates, lmfit_parameters, tie_slopes
from mechlearn.growth.fit_problems import Batch, Tasks
from mechlearn.growth.levenberg_marquardt import minimise

__all__ = ["ENGINES", "Engine", "Fits", "minimise_lmfit", "solve_batched", "solve_lmfit"]

_INSIDE = 0.01  # least distance of a start from a bound, as a share of the range
_CHUNK = 8192  # problems solved at once: their arrays fit into the processor's cache
_MAX_EVALUATIONS = 1000


@dataclass(frozen=True)
class Fits:
    """Best coordinates (N, P), cost (N,) = sum of squared residuals, converged (N,) bool."""

    x: np.ndarray
    cost: np.ndarray
    converged: np.ndarray


# (batch, tasks, tolerance) -> best fit of every task
Engine = Callable[[Batch, Tasks, float], Fits]


def _prepared(batch: Batch, tasks: Tasks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts (N, K, P) inside the bounds, and the bounds (N, P)."""
    low, high = batch.limits(tasks)
    margin = _INSIDE * (high - low)
    starts = np.clip(tasks.starts, (low + margin)[:, None], (high - margin)[:, None])
    return starts, low, high


def _best(x: np.ndarray, cost: np.ndarray, converged: np.ndarray) -> Fits:
    """Of (N, K) fits the converged one with the least cost; if none has converged, the one with
    the least cost."""
    rank = np.where(converged, cost, np.inf)
    rank[~converged.any(axis=1)] = cost[~converged.any(axis=1)]
    best = np.argmin(np.where(np.isnan(rank), np.inf, rank), axis=1)
    at = np.arange(best.size)
    return Fits(x[at, best], cost[at, best], converged[at, best])


def _model(
    batch: Batch, tasks: Tasks, owner: np.ndarray, x: np.ndarray, which: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return batch.model(tasks, x, owner[which])


def solve_batched(
    batch: Batch, tasks: Tasks, tolerance: float = 1e-8, *, max_iterations: int = _MAX_EVALUATIONS
) -> Fits:
    """All tasks and starts by Levenberg-Marquardt, in blocks of `_CHUNK`."""
    starts, low, high = _prepared(batch, tasks)
    n, k, p = starts.shape
    valid = np.isfinite(low).all(1) & np.isfinite(high).all(1) & (low <= high).all(1)
    owner = np.repeat(np.flatnonzero(valid), k)
    flat = starts[valid].reshape(-1, p)
    x, cost = np.repeat(tasks.starts[:, :1], k, 1), np.full((n, k), np.inf)
    converged = np.zeros((n, k), bool)
    blocks = []
    for begin in range(0, owner.size, _CHUNK):
        own = owner[begin : begin + _CHUNK]
        model = partial(_model, batch, tasks, own)
        first = flat[begin : begin + _CHUNK]
        blocks.append(minimise(
            model, first, low[own], high[own], tolerance=tolerance, max_iterations=max_iterations,
            width=np.array([q.width for q in batch.law.parameters]),
        ))  # fmt: skip
    if blocks:
        shape = (-1, k)
        x[valid] = np.concatenate([b.x for b in blocks]).reshape(*shape, p)
        cost[valid] = np.concatenate([b.cost for b in blocks]).reshape(shape)
        converged[valid] = np.concatenate([b.converged for b in blocks]).reshape(shape)
    return _best(x, cost, converged)


def solve_lmfit(batch: Batch, tasks: Tasks, tolerance: float = 1e-8) -> Fits:
    """Every task and start through lmfit's `least_squares` (scipy's trust region, with bounds)."""
    starts, low, high = _prepared(batch, tasks)
    n, k, _ = starts.shape
    x, cost = starts.copy(), np.full((n, k), np.inf)
    converged = np.zeros((n, k), bool)
    for i in range(n):
        for j in range(k):
            if np.isfinite(starts[i, j]).all() and (low[i] <= high[i]).all():
                found = minimise_lmfit(batch, tasks, i, starts[i, j], low[i], high[i], tolerance)
                x[i, j] = lmfit_coordinates(found.params, batch.law)
                cost[i, j] = float(np.sum(np.asarray(found.residual) ** 2))
                converged[i, j] = bool(found.success) and np.isfinite(cost[i, j])
    return _best(x, cost, converged)


def minimise_lmfit(
    batch: Batch, tasks: Tasks, task: int, start: np.ndarray, low: np.ndarray, high: np.ndarray,
    tolerance: float, *, natural: bool = False,
) -> lmfit.minimizer.MinimizerResult:
    """One fit as lmfit's result; its parameters are coordinates of the growth model's.

    lmfit's default method is not used: Levenberg-Marquardt with sine-transformed bounds has no
    gradient on a bound, converges to it very slowly, and refuses fewer visits than parameters.

    Returns:
        lmfit's result, with its Minimizer as the attribute `minimizer`; with `natural` it also
        holds the natural values of parameters on a log scale.
    """
    which, law = np.array([task]), batch.law
    tied = batch.problems[int(tasks.rows[task])].tied
    params = lmfit_parameters(law, start, low, high, tied=tied, natural=natural)

    def model(given: lmfit.Parameters) -> tuple[np.ndarray, np.ndarray]:
        r, jac = batch.model(tasks, lmfit_coordinates(given, law)[None], which)
        return r[0], jac[0]

    minimizer = lmfit.Minimizer(lambda p: model(p)[0], params, max_nfev=_MAX_EVALUATIONS)
    with np.errstate(all="ignore"):  # lmfit's standard errors of parameters that are not identified
        found = minimizer.least_squares(
            Dfun=lambda p: model(p)[1] @ tie_slopes(p, law), ftol=tolerance, xtol=tolerance,
            x_scale="jac",
        )  # fmt: skip
    found.minimizer = minimizer
    return found


ENGINES: dict[str, Engine] = {"batched": solve_batched, "lmfit": solve_lmfit}

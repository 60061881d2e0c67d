"""Posterior draws of a slice's curve under a population prior: randomised maximum a posteriori.

Each draw adds noise and model error to the measurements and a draw from the prior to the prior's
mean, and fits again (Bardsley et al. 2014; exact for a growth model that is linear in its
parameters). The model error on later days is conditioned on the residuals of the refit (Matheron's
rule), so that the forecast continues from the measured size, not from the model's curve.

The random numbers are a fixed Sobol sequence, the same for all series with the same number of
visits, so a forecast depends on no name and no seed. The time after the last visit is integrated
exactly: given the parameters and errors of a draw, the log of a reading is normal, and `samples`
are the quantiles of the mixture over all draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtri
from scipy.stats.qmc import Sobol

from mechlearn.growth.fit_problems import Batch, FitProblem, Tasks
from mechlearn.growth.population_prior import PopulationPrior
from mechlearn.growth.solvers import ENGINES, Engine, solve_batched
from mechlearn.records import SizeSeries

__all__ = ["Draws", "draw", "drawn"]

_TOLERANCE = 1e-5  # of a refit: far below the noise that it is refitted to
_STARTS = 6  # of the fit to the measurements themselves
_MINIMA = 2  # number of minima that refits start from
_PARTS = 25  # quantiles that represent the normal distribution of a reading given a draw; odd


@dataclass(frozen=True)
class Draws:
    """n draws of S series.

    curves (S, n, T): sizes without measurement noise, in the unit of the series; samples (S, n):
    quantiles of a measurement on the last day, ranked like the curves; x (S, n, P): coordinates;
    converged (S, n) bool.
    """

    curves: np.ndarray
    samples: np.ndarray
    x: np.ndarray
    converged: np.ndarray


def draw(
    population: PopulationPrior, problems: Sequence[FitProblem], days: np.ndarray, *, n: int,
    engine: Engine = solve_batched,
) -> Draws:
    """Draws of all series at once.

    Args:
        population: the population prior.
        problems: S series of its growth model, made with `hold=False`.
        days: (S, T) since each first visit, ascending; the last is the forecast day.
        n: number of draws of each series.
        engine: solver of the refits.
    """
    batch, scatter = population.batch(problems), population.discrepancy
    visits, n_days = batch.days.shape[1], days.shape[1]
    size = (len(problems), n, population.mean.size)
    factor = np.linalg.cholesky(population.covariance)
    centres, error = np.empty(size), np.zeros((*size[:2], visits))
    later = np.empty((*size[:2], n_days))
    since = np.zeros(size[:2])  # increment of the model error after the last visit
    for i, problem in enumerate(problems):  # padding gets no random numbers
        seen = problem.days.size
        own, readings, walk = np.split(
            _normals(n, size[2] + 2 * seen + n_days), [size[2], size[2] + seen], axis=1
        )
        centres[i] = population.mean + own @ factor.T
        path = scatter.paths(np.concatenate([problem.days, days[i]]), walk)
        later[i] = path[:, seen:]
        error[i, :, :seen] = path[:, :seen] + scatter.sigma * readings
        if days[i, -1] > problem.days[-1]:
            since[i] = path[:, -1] - path[:, seen - 1]
    x, converged = _refit(batch, centres, error, factor, engine)
    return _assemble(population, batch, days, x, error, later, since, converged)


@lru_cache(maxsize=64)
def _normals(n: int, columns: int) -> np.ndarray:
    """Standard normal numbers (n, columns) of low discrepancy, always the same ones."""
    points = Sobol(columns, scramble=True, rng=0).random_base2(max(n - 1, 1).bit_length())
    return np.asarray(ndtri(np.clip(points[:n], 1e-12, 1 - 1e-12)))


def _floor(batch: Batch) -> np.ndarray:
    assert batch.objective.floor is not None
    return batch.objective.floor[:, None]


def _refit(
    batch: Batch, centres: np.ndarray, error: np.ndarray, factor: np.ndarray, engine: Engine
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (S, n, P) of the perturbed fits, from the best minima of the unperturbed one."""
    series, n, p = centres.shape
    mean = np.broadcast_to(batch.objective.centre, (series, p))
    around = np.concatenate([np.zeros((1, p)), _normals(_STARTS - 1, p) @ factor.T])
    starts = mean[:, None] + around
    rows = np.repeat(np.arange(series), _STARTS)
    alone = Tasks(rows, batch.areas[rows], mean[rows], starts.reshape(-1, 1, p))
    found = engine(batch, alone, _TOLERANCE)
    cost = np.where(found.converged, found.cost, np.inf).reshape(series, _STARTS)
    best = np.argsort(cost, axis=1, kind="stable")[:, :_MINIMA]
    minima = np.take_along_axis(found.x.reshape(series, _STARTS, p), best[..., None], 1)
    rows = np.repeat(np.arange(series), n)
    floor = _floor(batch)
    logs = np.log(batch.areas + floor)[:, None] - error
    targets = (np.exp(logs) - floor[:, None]).reshape(series * n, -1)
    tasks = Tasks(rows, targets, centres.reshape(-1, p), minima[rows])
    fits = engine(batch, tasks, _TOLERANCE)
    return fits.x.reshape(series, n, p), fits.converged.reshape(series, n)


def _assemble(
    population: PopulationPrior, batch: Batch, days: np.ndarray, x: np.ndarray, error: np.ndarray,
    later: np.ndarray, since: np.ndarray, converged: np.ndarray,
) -> Draws:
    series, n, p = x.shape
    rows, floor = np.repeat(np.arange(series), n), _floor(batch)[:, None]
    scatter = population.discrepancy

    def log_model(at: np.ndarray | None) -> np.ndarray:
        sizes = batch.predict(x.reshape(-1, p), rows, None if at is None else at[rows])
        return np.log(np.broadcast_to(sizes, (series * n, sizes.shape[-1])).reshape(series, n, -1)
                      + floor)  # fmt: skip

    left = np.log(batch.areas + floor[:, 0])[:, None] - error - log_model(None)
    left = np.where(batch.seen[:, None], left, 0.0)
    whiten = batch.objective.whiten
    assert whiten is not None
    shared = scatter.with_later(batch.days, batch.seen, days)
    left = whiten.apply(left.transpose(0, 2, 1)).transpose(0, 2, 1)
    logs = log_model(days) + later + left @ whiten.apply(shared)
    scale = np.array([q.scale_mm2 for q in batch.problems])[:, None]
    curves = np.maximum(np.exp(logs) - floor, 0.0) * scale[..., None]
    ahead = np.maximum(days[:, -1] - [q.days[-1] for q in batch.problems], 0.0)
    spread = np.sqrt(scatter.sigma**2 + scatter.tau**2 * ahead)
    samples = _quantiles(logs[..., -1] - since, spread[:, None], logs[..., -1])
    return Draws(curves, np.maximum(np.exp(samples) - floor[..., 0], 0.0) * scale, x, converged)


def _quantiles(middle: np.ndarray, spread: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Quantiles (S, n) of the mixture of n normal distributions, ranked like `order` (S, n)."""
    parts = ndtri((np.arange(_PARTS) + 0.5) / _PARTS)
    values = (middle[..., None] + spread[..., None] * parts).reshape(len(middle), -1)
    ranks = np.argsort(np.argsort(order, axis=1, kind="stable"), axis=1, kind="stable")
    return np.take_along_axis(np.sort(values, axis=1)[:, _PARTS // 2 :: _PARTS], ranks, 1)


def drawn(
    population: PopulationPrior, timelines: Sequence[SizeSeries], days: np.ndarray, *, n: int,
    alpha_beta_gy: float | None = None, engine: str = "batched",
) -> Draws:
    """`draw` for timelines, with days (S, T) on their clocks."""
    law = population.law
    problems = [
        FitProblem.of(t, law, hold=False, alpha_beta_gy=alpha_beta_gy) for t in timelines
    ]
    shifted = days - np.array([[p.origin_day] for p in problems])
    return draw(population, problems, shifted, n=n, engine=ENGINES[engine])

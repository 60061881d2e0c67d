"""Draws of what a slice may do next, under a population: randomised maximum a posteriori.

Each draw perturbs the measurements by noise and model error and the prior's mean by the prior, and
fits again (Bardsley et al. 2014; exact where the law is linear in its parameters). The model error
on later days follows from the refit's residuals (Matheron's rule), so that a forecast starts where
the tumour is, not where the law would have it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.fit_problems import Batch, FitProblem, Tasks
from mechlearn.growth.measurement_noise import mirrored
from mechlearn.growth.population_prior import PopulationPrior
from mechlearn.growth.solvers import ENGINES, Engine, solve_batched
from mechlearn.records import SizeSeries

__all__ = ["Draws", "draw", "drawn"]

_TOLERANCE = 1e-5  # of a refit: far below the noise that it is refitted to
_STARTS = 6  # of the fit to the measurements themselves
_VALLEYS = 2  # refits start from so many of its distinct minima


@dataclass(frozen=True)
class Draws:
    """n draws of S series.

    curves (S, n, T): the tumour itself, in the unit of the series; samples (S, n): what would be
    measured on the last of the days. x (S, n, P), coordinates; converged (S, n) bool.
    """

    curves: np.ndarray
    samples: np.ndarray
    x: np.ndarray
    converged: np.ndarray


def draw(
    population: PopulationPrior, problems: Sequence[FitProblem], days: np.ndarray, *, n: int,
    rngs: Sequence[np.random.Generator], engine: Engine = solve_batched,
) -> Draws:
    """Draws of all series at once.

    Args:
        population: of the law; the problems were made with `hold=False` for its law.
        problems: S series.
        days: (S, T) since each first visit, ascending; the last is the forecast day.
        n: draws a series.
        rngs: one a series, so that its draws do not depend on which others are in the batch.
        engine: what runs the refits.
    """
    batch, scatter = population.batch(problems), population.discrepancy
    visits, n_days = batch.days.shape[1], days.shape[1]
    size = (len(problems), n, population.mean.size)
    factor = np.linalg.cholesky(population.covariance)
    centres, paths, noise = np.empty(size), [], np.zeros((*size[:2], visits + 1))
    for i, rng in enumerate(rngs):
        centres[i] = population.mean + mirrored(rng, size[1:]) @ factor.T
        readings = [*range(problems[i].days.size), -1]  # what pads the batch draws nothing
        noise[i][:, readings] = scatter.sigma * mirrored(rng, (n, len(readings)))
        both = np.concatenate([problems[i].days, days[i]])
        paths.append(scatter.paths(both, mirrored(rng, (n, both.size))))
    error = np.zeros((*size[:2], visits))
    later = np.stack([path[:, -n_days:] for path in paths])
    for i, path in enumerate(paths):
        seen = path.shape[1] - n_days
        error[i, :, :seen] = path[:, :seen] + noise[i, :, :seen]
    x, converged = _refit(batch, centres, error, rngs, factor, engine)
    return _assemble(population, batch, days, x, error, later, noise[..., -1], converged)


def _floor(batch: Batch) -> np.ndarray:
    assert batch.objective.floor is not None
    return batch.objective.floor[:, None]


def _refit(
    batch: Batch, centres: np.ndarray, error: np.ndarray, rngs: Sequence[np.random.Generator],
    factor: np.ndarray, engine: Engine,
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (S, n, P) of the perturbed fits, from the best minima of the unperturbed one."""
    series, n, p = centres.shape
    mean = np.broadcast_to(batch.objective.centre, (series, p))
    around = np.stack([rng.normal(size=(_STARTS - 1, p)) @ factor.T for rng in rngs])
    starts = np.concatenate([mean[:, None], mean[:, None] + around], axis=1)
    rows = np.repeat(np.arange(series), _STARTS)
    alone = Tasks(rows, batch.areas[rows], mean[rows], starts.reshape(-1, 1, p))
    found = engine(batch, alone, _TOLERANCE)
    cost = np.where(found.converged, found.cost, np.inf).reshape(series, _STARTS)
    best = np.argsort(cost, axis=1, kind="stable")[:, :_VALLEYS]
    valleys = np.take_along_axis(found.x.reshape(series, _STARTS, p), best[..., None], 1)
    rows = np.repeat(np.arange(series), n)
    floor = _floor(batch)
    logs = np.log(batch.areas + floor)[:, None] - error
    targets = (np.exp(logs) - floor[:, None]).reshape(series * n, -1)
    tasks = Tasks(rows, targets, centres.reshape(-1, p), valleys[rows])
    fits = engine(batch, tasks, _TOLERANCE)
    return fits.x.reshape(series, n, p), fits.converged.reshape(series, n)


def _assemble(
    population: PopulationPrior, batch: Batch, days: np.ndarray, x: np.ndarray, error: np.ndarray,
    later: np.ndarray, reading: np.ndarray, converged: np.ndarray,
) -> Draws:
    series, n, p = x.shape
    rows, floor = np.repeat(np.arange(series), n), _floor(batch)[:, None]
    scatter = population.discrepancy

    def log_law(at: np.ndarray | None) -> np.ndarray:
        sizes = batch.predict(x.reshape(-1, p), rows, None if at is None else at[rows])
        return np.log(np.broadcast_to(sizes, (series * n, sizes.shape[-1])).reshape(series, n, -1)
                      + floor)  # fmt: skip

    left = np.log(batch.areas + floor[:, 0])[:, None] - error - log_law(None)
    left = np.where(batch.seen[:, None], left, 0.0)
    whiten = batch.objective.whiten
    assert whiten is not None
    shared = scatter.with_later(batch.days, batch.seen, days)
    left = whiten.apply(left.transpose(0, 2, 1)).transpose(0, 2, 1)
    logs = log_law(days) + later + left @ whiten.apply(shared)
    scale = np.array([q.scale_mm2 for q in batch.problems])[:, None]
    curves = np.maximum(np.exp(logs) - floor, 0.0) * scale[..., None]
    samples = np.maximum(np.exp(logs[..., -1] + reading) - floor[..., 0], 0.0) * scale
    return Draws(curves, samples, x, converged)


def drawn(
    population: PopulationPrior, timelines: Sequence[SizeSeries], days: np.ndarray, *, n: int,
    seed: int, alpha_beta_gy: float | None = None, engine: str = "batched",
) -> Draws:
    """`draw` for timelines, days (S, T) on their clocks; seeded by slice and law."""
    law = population.law
    problems = [
        FitProblem.of(t, law, hold=False, alpha_beta_gy=alpha_beta_gy) for t in timelines
    ]
    shifted = days - np.array([[p.origin_day] for p in problems])
    names = [(zlib.crc32(p.name.encode()), zlib.crc32(law.name.encode())) for p in problems]
    rngs = [np.random.default_rng([seed, *name]) for name in names]
    return draw(population, problems, shifted, n=n, rngs=rngs, engine=ENGINES[engine])

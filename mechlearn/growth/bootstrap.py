"""Parametric bootstrap of a fit: Algorithm 1, part 2, and section 3.2."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.fit import FitResult, fit_batch, point_fits
from mechlearn.growth.fit_problems import Batch, DegenerateSeriesError, FitProblem, Tasks
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.measurement_noise import mirrored
from mechlearn.growth.solvers import ENGINES
from mechlearn.records import SizeSeries

__all__ = ["Bootstrap", "bootstrap", "bootstraps", "perturb"]

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of a refit: far below the noise that it is refitted to
_BLOCK = 64  # slices fitted at once: bounds the memory


@dataclass(frozen=True)
class Bootstrap:
    """Refits of one slice to noisy copies of its measurements.

    Attributes:
        point: the fit to the measurements themselves.
        problem: clock and scale of the slice.
        values: (N, P) parameters of the refits that converged, `initial_area` in first areas.
        n_failed: number of refits that did not converge; `values` leaves them out.
    """

    point: FitResult
    problem: FitProblem
    values: np.ndarray
    n_failed: int

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """name -> (N,), `initial_area` in mm^2."""
        return self.problem.named_mm2(self.values)

    def curves(self, days: np.ndarray) -> np.ndarray:
        """mm^2, (N, T), at `days` (T,) on the timeline's clock."""
        return self.problem.area_mm2(self.values, days)


def perturb(areas: np.ndarray, spec: GrowthSpec, rng: np.random.Generator) -> np.ndarray:
    """Noisy copies of measurements (V,) over the first area: (n_bootstrap, V), never clipped.

    Every copy has a counterpart with the negative noise: this reduces the Monte Carlo error of the
    median.
    """
    noise = spec.noise * mirrored(rng, (spec.n_bootstrap, areas.size))
    return areas * (1 + noise) if spec.noise_model == "multiplicative" else areas + noise


def bootstrap(timeline: SizeSeries, spec: GrowthSpec, *, rng: np.random.Generator) -> Bootstrap:
    """Fit a slice, then refit it to `spec.n_bootstrap` noisy copies of its measurements.

    Args:
        timeline: the visits that the fit may use.
        spec: growth model, noise, number of refits.
        rng: random generator of the noise and the extra starts.

    Raises:
        DegenerateSeriesError, RuntimeError: as `fit`.
    """
    (found,) = bootstraps([timeline], spec, rngs=[rng])
    if isinstance(found, Exception):
        raise found
    return found


def bootstraps(
    timelines: Sequence[SizeSeries], spec: GrowthSpec, *, rngs: Sequence[np.random.Generator]
) -> list[Bootstrap | Exception]:
    """`bootstrap` of many slices; all fits run at once.

    For a slice that cannot be fitted the list holds the error. The result of a slice does not
    depend on the others.
    """
    law = spec.resolve()
    problems: list[FitProblem] = []
    places: list[int] = []
    made: list[Bootstrap | Exception] = [Exception() for _ in timelines]  # all are replaced
    for i, timeline in enumerate(timelines):
        try:
            problems.append(FitProblem.of(timeline, law, alpha_beta_gy=spec.dose_model,
                                          fixed=spec.fixed, tied=spec.tied))  # fmt: skip
            places.append(i)
        except DegenerateSeriesError as error:
            made[i] = error
    for begin in range(0, len(problems), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        found = _bootstraps(problems[block], spec, [rngs[i] for i in places[block]])
        for i, result in zip(places[block], found, strict=True):
            made[i] = result
    return made


def _bootstraps(
    problems: Sequence[FitProblem], spec: GrowthSpec, rngs: Sequence[np.random.Generator]
) -> list[Bootstrap | Exception]:
    law = problems[0].law
    batch = fit_batch(problems, ridge=spec.ridge, residuals=spec.residuals)
    points, minima = point_fits(batch, spec.n_starts, rngs, engine=spec.engine)
    series = [perturb(p.areas, spec, rng) for p, rng in zip(problems, rngs, strict=True)]
    if law.estimate is not None:
        named = [law.estimate(areas) for areas in series]
        values = np.stack([np.stack([n[name] for name in law.names], -1) for n in named])
        converged = np.ones(values.shape[:2], bool)
    else:
        values, converged = _refit(batch, series, minima, spec)
    out: list[Bootstrap | Exception] = []
    for point, problem, held, good in zip(points, problems, values, converged, strict=True):
        if isinstance(point, RuntimeError):
            out.append(point)
            continue
        if not good.all():
            logger.warning(
                "timeline %s, growth model %s: %d of %d refits failed and are left out",
                problem.name, law.name, (~good).sum(), spec.n_bootstrap,
            )
        out.append(Bootstrap(point, problem, held[good], int((~good).sum())))
    return out


def _refit(
    batch: Batch, series: Sequence[np.ndarray], minima: np.ndarray, spec: GrowthSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Fit each noisy copy from two starts: the slice's minimum and the growth model's start.

    The second start lets a refit reach another local minimum. More starts find a lower minimum
    for one refit in a hundred.

    Returns:
        Values (S, n, P) and which converged (S, n).
    """
    size, n, p = len(series), spec.n_bootstrap, minima.shape[2]
    most, centre = batch.days.shape[1], batch.objective.centre
    targets = np.concatenate([np.pad(a, ((0, 0), (0, most - a.shape[1])), "edge") for a in series])
    own = np.broadcast_to(centre, (size, 1, p))
    starts = np.concatenate([minima[:, :1], own], axis=1)
    rows = np.repeat(np.arange(size), n)
    tasks = Tasks(rows, targets, np.broadcast_to(centre, (size * n, p)), starts[rows])
    found = ENGINES[spec.engine](batch, tasks, _TOLERANCE)
    return batch.values(found.x).reshape(size, n, p), found.converged.reshape(size, n)

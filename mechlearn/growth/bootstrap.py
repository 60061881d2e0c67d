"""Parametric bootstrap of a fit: Algorithm 1, part 2, and section 3.2."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.batch import Batch, Tasks
from mechlearn.growth.engines import ENGINES
from mechlearn.growth.fit import FitResult, fit_problem, point_fit
from mechlearn.growth.noise import mirrored
from mechlearn.growth.problem import FitProblem
from mechlearn.growth.spec import GrowthSpec
from mechlearn.records import Timeline

__all__ = ["Bootstrap", "bootstrap", "perturb"]

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of a refit: far below the noise that it is refitted to
_VALLEYS = 2  # distinct minima of the point fit that refits start from, beside the law's own start


@dataclass(frozen=True)
class Bootstrap:
    """Refits of one slice to noisy copies of its measurements.

    Attributes:
        point: the fit to the measurements themselves.
        problem: clock and scale of the slice.
        values: (N, P) parameters of the refits that converged, `initial_area` in first areas.
        n_failed: refits that did not, and are not among `values`.
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

    Every copy has its mirror image, so that the median of a forecast hardly jitters.
    """
    noise = spec.noise * mirrored(rng, (spec.n_bootstrap, areas.size))
    return areas * (1 + noise) if spec.noise_model == "multiplicative" else areas + noise


def bootstrap(timeline: Timeline, spec: GrowthSpec, *, rng: np.random.Generator) -> Bootstrap:
    """Fit a slice, then refit it to `spec.n_bootstrap` noisy copies of its measurements.

    Args:
        timeline: the visits that may be seen.
        spec: law, noise, number of refits.
        rng: of the noise and the extra starts.

    Raises:
        DegenerateSeriesError, RuntimeError: as `fit`.
    """
    law = spec.resolve()
    problem = FitProblem.of(timeline, law, alpha_beta_gy=spec.dose_model, fixed=spec.fixed,
                            tied=spec.tied)  # fmt: skip
    batch = fit_problem(problem, ridge=spec.ridge, residuals=spec.residuals)
    point, minima = point_fit(batch, spec.n_starts, rng, engine=spec.engine)
    series = perturb(problem.areas, spec, rng)
    if law.estimate is not None:
        named = law.estimate(series)
        values = np.stack([named[name] for name in law.names], axis=-1)
        return Bootstrap(point, problem, values, 0)
    values, converged = _refit(batch, series, minima, spec)
    n_failed = int((~converged).sum())
    if n_failed:
        logger.warning(
            "timeline %s, law %s: %d of %d refits failed and are left out",
            timeline.slice_id, law.name, n_failed, spec.n_bootstrap,
        )
    return Bootstrap(point, problem, values[converged], n_failed)


def _refit(
    batch: Batch, series: np.ndarray, minima: np.ndarray, spec: GrowthSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Each series from the best minima and, lest all stay in their valleys, the law's start."""
    n, p = series.shape[0], minima.shape[1]
    centre = batch.objective.centre
    starts = np.concatenate([minima[:_VALLEYS], centre[None]])
    tasks = Tasks(
        np.zeros(n, int), series, np.broadcast_to(centre, (n, p)),
        np.broadcast_to(starts, (n, *starts.shape)),
    )
    found = ENGINES[spec.engine](batch, tasks, _TOLERANCE)
    return batch.values(found.x), found.converged

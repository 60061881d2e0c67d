"""Parametric bootstrap of a fit: Algorithm 1, part 2, and section 3.2."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.fit import FitResult, Solution, best_of, fit, solve
from mechlearn.growth.problem import FitProblem
from mechlearn.growth.spec import GrowthSpec
from mechlearn.records import Timeline

__all__ = ["ENGINES", "Bootstrap", "Engine", "Refits", "bootstrap", "perturb"]

logger = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of a refit: far below the noise that it is refitted to


@dataclass(frozen=True)
class Refits:
    """Free parameters (N, P) of N series and which of them converged, (N,) bool."""

    values: np.ndarray
    converged: np.ndarray
    messages: tuple[str, ...] = ()


# (problem, series (N, V) over the first area, best fit (P,)) -> Refits
Engine = Callable[[FitProblem, np.ndarray, np.ndarray], Refits]


@dataclass(frozen=True)
class Bootstrap:
    """Refits of one slice to noisy copies of its measurements.

    Attributes:
        point: the fit to the measurements themselves.
        problem: clock and scale of the slice.
        values: (N, P) free parameters of the refits that converged.
        n_failed: refits that did not, and are not among `values`.
    """

    point: FitResult
    problem: FitProblem
    values: np.ndarray
    n_failed: int

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """name -> (N,), `initial_area` in mm^2."""
        return self.problem.parameters_mm2(self.values)

    def curves(self, days: np.ndarray) -> np.ndarray:
        """mm^2, (N, T), at `days` (T,) on the timeline's clock."""
        shifted = np.asarray(days, float) - self.problem.origin_day
        return self.problem.scale_mm2 * self.problem.predict(self.values, shifted)


def perturb(areas: np.ndarray, spec: GrowthSpec, rng: np.random.Generator) -> np.ndarray:
    """Noisy copies of measurements (V,) over the first area: (n_bootstrap, V), never clipped."""
    noise = spec.noise * rng.normal(size=(spec.n_bootstrap, areas.size))
    return areas * (1 + noise) if spec.noise_model == "multiplicative" else areas + noise


def refit_lmfit(problem: FitProblem, series: np.ndarray, best: np.ndarray) -> Refits:
    """Each series from the best fit and, lest all stay in its valley, from the law's own start."""

    def refit(areas: np.ndarray) -> Solution:
        starts = (best, problem.starts)
        return best_of([solve(problem, areas, start, tolerance=_TOLERANCE) for start in starts])

    solutions = [refit(areas) for areas in series]
    return Refits(
        np.array([s.values for s in solutions]),
        np.array([s.converged for s in solutions]),
        tuple(s.message for s in solutions if not s.converged),
    )


ENGINES: dict[str, Engine] = {"lmfit": refit_lmfit}


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
    point = fit(timeline, law, n_starts=spec.n_starts, ridge=spec.ridge, rng=rng)
    problem = FitProblem.of(timeline, law, ridge=spec.ridge)
    series = perturb(problem.areas, spec, rng)
    if law.estimate is not None:
        named = law.estimate(series)
        values = np.stack([named[p.name] for p in problem.free], axis=-1)
        return Bootstrap(point, problem, values, 0)
    best = np.array([point.parameters[p.name] for p in problem.free])
    scaled = np.array([p.name == "initial_area" for p in problem.free])
    best = np.where(scaled, best / problem.scale_mm2, best)
    refits = ENGINES[spec.engine](problem, series, best)
    n_failed = int((~refits.converged).sum())
    if n_failed:
        logger.warning(
            "timeline %s, law %s: %d of %d refits failed and are left out (%s)",
            timeline.slice_id, law.name, n_failed, spec.n_bootstrap,
            "; ".join(sorted(set(refits.messages))),
        )
    return Bootstrap(point, problem, refits.values[refits.converged], n_failed)

"""One least-squares fit of a law to one slice's visits, through lmfit.

Residuals are areas over the first area minus the law, unsquared: the squaring is the optimiser's.
Positive parameters are fitted as logarithms, so that bounds over five decades do not stall it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lmfit
import numpy as np

from mechlearn.checks import one_of
from mechlearn.growth.laws import Law, get_law
from mechlearn.growth.problem import FitProblem
from mechlearn.records import Radiotherapy, Timeline

__all__ = ["FitResult", "Solution", "best_of", "fit", "solve"]

logger = logging.getLogger(__name__)

_INSIDE = 0.01  # share of the range by which a start keeps away from a bound
_MAX_EVALUATIONS = 1000


@dataclass(frozen=True)
class FitResult:
    """A law fitted to one slice.

    Attributes:
        parameters: every parameter of the law, `initial_area` in mm^2.
        origin_day: day of the first visit, on which the law's clock starts.
        residuals: (V,) law minus measurement, in first areas.
        held: parameters that the visits cannot tell about (no visit after the start of RT); they
            stand at the law's start value.
        at_bound: fitted parameters that ended on a bound.
        n_fitted, rank: how many parameters were fitted, and how many directions among them the
            residuals depend on.
        warnings: what a reader of the numbers must know, in words.
    """

    slice_id: str
    law: Law
    parameters: dict[str, float]
    origin_day: float
    rt: Radiotherapy | None
    residuals: np.ndarray
    held: tuple[str, ...]
    at_bound: tuple[str, ...]
    n_fitted: int
    rank: int
    warnings: tuple[str, ...]

    @property
    def identifiable(self) -> bool:
        """At least as many visits as parameters, and all of them move the residuals."""
        return not self.held and self.residuals.size >= self.n_fitted == self.rank

    @property
    def aicc(self) -> float | None:
        """Akaike's criterion for small samples; None with too few visits for its correction."""
        n, k = self.residuals.size, self.n_fitted + 1  # the noise variance counts
        if n <= k + 1:
            return None
        mean_square = max(float(np.mean(self.residuals**2)), 1e-300)
        return n * math.log(mean_square) + 2 * k + 2 * k * (k + 1) / (n - k - 1)

    def area(self, days: np.ndarray) -> np.ndarray:
        """mm^2 at `days` (T,), counted like those of the timeline."""
        shifted = np.asarray(days, float) - self.origin_day
        return self.law.area(shifted, self.parameters, self.rt)


@dataclass(frozen=True)
class Solution:
    """What an engine returns for one series: natural parameters, cost, whether it converged."""

    values: np.ndarray  # (P,) of the free parameters
    cost: float
    converged: bool
    message: str = ""


def solve(
    problem: FitProblem, areas: np.ndarray, start: np.ndarray, *, tolerance: float = 1e-8
) -> Solution:
    """Trust-region least squares with bounds (lmfit's `least_squares`) from one start.

    Args:
        problem: the law on its clock.
        areas: (V,) measurements over the first area.
        start: (P,) natural values of the free parameters; moved inside the bounds.
        tolerance: relative change of cost and parameters at which the search ends.

    lmfit's default, Levenberg-Marquardt with sine-transformed bounds, has no gradient on a bound
    and crawls towards one for thousands of steps; it also refuses fewer visits than parameters.
    """
    low, high = problem.limits(areas)
    if not np.all(low < high):  # a measurement that noise turned into nothing
        return Solution(start, math.inf, False, "first area is not positive")
    lower, upper = problem.coordinates(low), problem.coordinates(high)
    margin = _INSIDE * (upper - lower)
    first = np.clip(problem.coordinates(start), lower + margin, upper - margin)

    def coordinates(params: lmfit.Parameters) -> np.ndarray:
        return np.array([p.value for p in params.values()])

    centre, pull = problem.coordinates(problem.starts), problem.ridge / problem.widths

    def residual(params: lmfit.Parameters) -> np.ndarray:
        at = coordinates(params)
        return np.concatenate([problem.predict(problem.values(at)) - areas, pull * (at - centre)])

    def jacobian(params: lmfit.Parameters) -> np.ndarray:
        return np.concatenate([problem.jacobian(coordinates(params)), np.diag(pull)])

    params = lmfit.Parameters()
    for p, value, lo, hi in zip(problem.free, first, lower, upper, strict=True):
        params.add(p.name, value=value, min=lo, max=hi)
    minimizer = lmfit.Minimizer(residual, params, max_nfev=_MAX_EVALUATIONS)
    with np.errstate(all="ignore"):  # lmfit's error bars of what the visits leave open
        found = minimizer.least_squares(
            Dfun=jacobian, ftol=tolerance, xtol=tolerance, x_scale="jac"
        )
    values = problem.values(coordinates(found.params))
    cost = float(np.sum(np.asarray(found.residual) ** 2))
    return Solution(values, cost, bool(found.success) and math.isfinite(cost), str(found.message))


def _starts(
    problem: FitProblem, start: Mapping[str, float] | None, n: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """The given or the law's start, then seeded perturbations of it by the typical widths."""
    given = start or {}
    first = np.array([given.get(p.name, p.start) for p in problem.free])
    shifts = rng.normal(size=(n - 1, first.size)) * problem.widths
    return [first, *problem.values(problem.coordinates(first) + shifts)]


def best_of(solutions: Sequence[Solution]) -> Solution:
    """The converged solution of least cost; failing that, the first."""
    converged = [s for s in solutions if s.converged]
    return min(converged, key=lambda s: s.cost) if converged else solutions[0]


def fit(
    timeline: Timeline,
    law: Law | str = "ode",
    *,
    start: Mapping[str, float] | None = None,
    n_starts: int = 4,
    ridge: float = 0.01,
    rng: np.random.Generator | None = None,
) -> FitResult:
    """Fit a law to all visits of a timeline (section 3.2).

    Args:
        timeline: the slice; without `rt` only the pre-treatment part of a law applies.
        law: a law or its name.
        start: natural start values by name; the law's own where missing.
        n_starts: starting points; the best converged one is kept.
        ridge: as in GrowthSpec; 0 for plain least squares.
        rng: of the extra starting points; seed 0 if None.

    Raises:
        DegenerateSeriesError: too few visits, one day only, or no tumour at the first visit.
        ValueError: an unknown law, or a start for a parameter that the law does not have.
        RuntimeError: no start converged.
    """
    law = get_law(law)
    for name in start or {}:
        one_of("start", name, law.names, remedy=f"Those are the parameters of {law.name}.")
    problem = FitProblem.of(timeline, law, ridge=ridge)
    if law.estimate is not None:
        named = law.estimate(problem.areas)
        return _result(problem, np.array([float(named[p.name]) for p in problem.free]))
    rng = np.random.default_rng(0) if rng is None else rng
    starts = _starts(problem, start, n_starts, rng)
    best = best_of([solve(problem, problem.areas, s) for s in starts])
    if not best.converged:
        raise RuntimeError(
            f"timeline {timeline.slice_id}: law {law.name} did not converge from {n_starts} "
            f"start(s) ({best.message}). Raise growth.n_starts or use a simpler growth.law."
        )
    return _result(problem, best.values)


def _result(problem: FitProblem, values: np.ndarray) -> FitResult:
    low, high = problem.limits(problem.areas)
    lower, upper = problem.coordinates(low), problem.coordinates(high)
    at = problem.coordinates(values)
    edge = 1e-3 * (upper - lower)
    searched = problem.law.estimate is None
    touching = searched & ((at - lower < edge) | (upper - at < edge))
    at_bound = tuple(p.name for p, hit in zip(problem.free, touching, strict=True) if hit)
    rank = int(np.linalg.matrix_rank(problem.jacobian(at), rtol=1e-6))
    n_fitted, n_visits = len(problem.free), problem.days.size
    warnings = []
    if n_visits < n_fitted:
        warnings.append(f"{n_visits} visits for {n_fitted} parameters: values are not identified")
    elif rank < n_fitted:
        warnings.append(f"only {rank} of {n_fitted} parameters move the residuals")
    if problem.rt is not None and problem.held:
        warnings.append("no visit after the start of radiotherapy: its effect is assumed, not seen")
    if at_bound:
        warnings.append("at a bound: " + ", ".join(at_bound))
    for text in warnings:
        logger.info("timeline %s, law %s: %s", problem.slice_id, problem.law.name, text)
    return FitResult(
        problem.slice_id, problem.law,
        {name: float(v) for name, v in problem.parameters_mm2(values).items()},
        problem.origin_day, problem.rt, problem.predict(values) - problem.areas,
        tuple(problem.held) if problem.rt is not None else (), at_bound, n_fitted, rank,
        tuple(warnings),
    )

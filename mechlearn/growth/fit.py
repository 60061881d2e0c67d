"""Least-squares fits of a growth model to slices, without a population prior, as in the paper.

Residuals are measured minus modelled areas, both over the first area (or differences of their
logarithms). The optimiser squares them. Positive parameters are fitted as logarithms, because their
bounds span up to five decades.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.checks import one_of
from mechlearn.growth.constraints import check_constraints, lmfit_parameters, tie_slopes
from mechlearn.growth.fit_problems import Batch, FitProblem, Objective, Tasks
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.solvers import ENGINES, solve_batched
from mechlearn.records import SizeSeries

__all__ = ["LOG_FLOOR", "FitResult", "fit", "fit_batch", "fit_problem", "point_fit", "point_fits"]

logger = logging.getLogger(__name__)

_POLISHED, _ROUGH, _ROUGH_STEPS = 6, 1e-3, 30
_SPREAD = 2.0  # of the starts, in typical widths: a smaller one misses minima of some slices
LOG_FLOOR = 0.01  # first areas, added before a logarithm is taken


@dataclass(frozen=True)
class FitResult:
    """A growth model fitted to one slice.

    Attributes:
        problem: growth model, clock and scale of the slice.
        values: (P,) all parameters, `initial_area` in first areas.
        residuals: (V,) model minus measurement, in first areas.
        held: parameters that were not fitted because no visit after the start of radiotherapy
            informs them; they have the growth model's start value.
        at_bound: fitted parameters that ended on a bound.
        n_fitted, rank: number of fitted parameters; rank of the Jacobian in them.
        cost: the minimised sum of squares, including the ridge penalty.
        warnings: sentences about values that are not identified or lie on a bound.
    """

    problem: FitProblem
    values: np.ndarray
    residuals: np.ndarray
    held: tuple[str, ...]
    at_bound: tuple[str, ...]
    n_fitted: int
    rank: int
    cost: float
    warnings: tuple[str, ...]

    @property
    def law(self) -> GrowthModel:
        return self.problem.law

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters by name, `initial_area` in mm^2."""
        return {k: float(v) for k, v in self.problem.named_mm2(self.values).items()}

    @property
    def identifiable(self) -> bool:
        """At least as many visits as parameters, a Jacobian of full rank, and none held."""
        return not self.held and self.residuals.size >= self.n_fitted == self.rank

    def area(self, days: np.ndarray) -> np.ndarray:
        """mm^2 at `days` (T,) on the timeline's clock."""
        return self.problem.area_mm2(self.values, days)


def fit_batch(problems: Sequence[FitProblem], *, ridge: float, residuals: str) -> Batch:
    """Problems with their objective: least squares with a weak ridge penalty towards the growth
    model's start values."""
    problem, law = problems[0], problems[0].law
    widths = np.array([p.width for p in law.parameters])
    plain = Batch.of([problem], Objective(np.zeros(len(widths)), np.eye(len(widths))))
    starts = [problem.held.get(p.name, p.start) for p in law.parameters]
    centre = plain.coordinates(np.array(starts))
    log = residuals == "log"
    floor = np.full(len(problems), LOG_FLOOR) if log else None
    return Batch.of(problems, Objective(centre, np.diag(ridge / widths), log, floor))


def fit(
    timeline: SizeSeries,
    law: GrowthModel | str = "ode",
    *,
    start: Mapping[str, float] | None = None,
    n_starts: int = 24,
    ridge: float = 0.01,
    residuals: str = "area",
    fixed: Mapping[str, float] | None = None,
    tied: Mapping[str, str] | None = None,
    alpha_beta_gy: float | None = None,
    engine: str = "batched",
    rng: np.random.Generator | None = None,
) -> FitResult:
    """Fit a growth model to all visits of a timeline (section 3.2).

    Args:
        timeline: the slice; without courses only the pre-treatment part of a model applies.
        law: a growth model or its name.
        start: natural start values by name; the model's default where missing.
        n_starts: number of starting points; the best converged fit is kept.
        ridge, residuals, fixed, tied, engine: as in GrowthSpec; ridge 0 is plain least squares.
        alpha_beta_gy: where the model depends on the dose (`GrowthModel.linear_quadratic`).
        rng: random generator of the extra starting points; seed 0 if None.

    Raises:
        DegenerateSeriesError: too few visits, one day only, or no tumour at the first visit.
        ValueError: an unknown growth model; a start, value or tie for a parameter that the model
            lacks or that cannot have one.
        RuntimeError: no start converged.
    """
    law = get_growth_model(law)
    for name in start or {}:
        one_of("start", name, law.names, remedy=f"Those are the parameters of {law.name}.")
    check_constraints(law, fixed or {}, tied or {}, engine)
    problem = FitProblem.of(timeline, law, alpha_beta_gy=alpha_beta_gy, fixed=fixed, tied=tied)
    batch = fit_problem(problem, ridge=ridge, residuals=residuals)
    rng = np.random.default_rng(0) if rng is None else rng
    return point_fit(batch, n_starts, rng, engine=engine, start=start)[0]


def fit_problem(problem: FitProblem, *, ridge: float, residuals: str) -> Batch:
    """`fit_batch` of one problem."""
    return fit_batch([problem], ridge=ridge, residuals=residuals)


def point_fit(
    batch: Batch, n_starts: int, rng: np.random.Generator, *, engine: str = "batched",
    start: Mapping[str, float] | None = None,
) -> tuple[FitResult, np.ndarray]:
    """`point_fits` of a batch of one: the fit and the minima (K, P); RuntimeError if none."""
    (found,), minima = point_fits(batch, n_starts, [rng], engine=engine, start=start)
    if isinstance(found, RuntimeError):
        raise found
    return found, minima[0]


def point_fits(
    batch: Batch, n_starts: int, rngs: Sequence[np.random.Generator], *, engine: str = "batched",
    start: Mapping[str, float] | None = None,
) -> tuple[list[FitResult | RuntimeError], np.ndarray]:
    """Fit every series of a batch from many starts.

    Returns:
        The best fit of each series, or the error that no start converged; and the coordinates
        (S, K, P) of the starts' minima, the best first.
    """
    law, size = batch.law, len(batch.problems)
    if law.estimate is not None:
        named = [law.estimate(p.areas) for p in batch.problems]
        values = np.array([[float(n[name]) for name in law.names] for n in named])
        exact = [_result(batch.one(i), v, 0.0) for i, v in enumerate(values)]
        return [*exact], batch.coordinates(values)[:, None]
    given = start or {}
    first = batch.coordinates(np.array([given.get(p.name, p.start) for p in law.parameters]))
    around = _SPREAD * np.array([p.width for p in law.parameters])
    starts = np.stack([first + rng.normal(size=(n_starts, first.size)) * around for rng in rngs])
    starts[:, 0] = first
    tied = any(p.tied for p in batch.problems)
    if n_starts > _POLISHED and not tied:  # a rough search, then full fits from its best points
        found = solve_batched(batch, _tasks(batch, starts), _ROUGH, max_iterations=_ROUGH_STEPS)
        shape = starts.shape
        best = np.argsort(found.cost.reshape(shape[:2]), axis=1, kind="stable")[:, :_POLISHED, None]
        starts = np.take_along_axis(found.x.reshape(shape), best, 1)
    x, cost = _solve_each(batch, starts, engine, 1e-8)
    order = np.argsort(cost, axis=1, kind="stable")
    x, cost = np.take_along_axis(x, order[..., None], 1), np.take_along_axis(cost, order, 1)
    results: list[FitResult | RuntimeError] = []
    for i in range(size):
        problem = batch.problems[i]
        if np.isfinite(cost[i, 0]):
            results.append(_result(batch.one(i), batch.values(x[i, 0]), float(cost[i, 0])))
        else:
            results.append(RuntimeError(
                f"timeline {problem.name}: growth model {law.name} did not converge from "
                f"{n_starts} start(s). Raise growth.n_starts or use a simpler growth.law."
            ))  # fmt: skip
    return results, x


def _tasks(batch: Batch, starts: np.ndarray) -> Tasks:
    """Fits of every series to its measurements, one for each of its starts (S, K, P)."""
    size, k, p = starts.shape
    rows = np.repeat(np.arange(size), k)
    centres = np.broadcast_to(batch.objective.centre, (size * k, p))
    return Tasks(rows, batch.areas[rows], centres, starts.reshape(-1, 1, p))


def _solve_each(
    batch: Batch, starts: np.ndarray, engine: str, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (S, K, P) and costs (S, K) from every start; infinite where not converged."""
    size, k, p = starts.shape
    found = ENGINES[engine](batch, _tasks(batch, starts), tolerance)
    cost = np.where(found.converged, found.cost, np.inf)
    return found.x.reshape(size, k, p), cost.reshape(size, k)


def _result(batch: Batch, values: np.ndarray, cost: float) -> FitResult:
    (problem,) = batch.problems
    law, x = problem.law, batch.coordinates(values)
    centre = batch.objective.centre
    tasks = Tasks(np.zeros(1, int), batch.areas, centre[None], x[None, None])
    free = ~batch.held[0]
    at_bound: tuple[str, ...] = ()
    if law.estimate is None:
        low, high = (ends[0] for ends in batch.limits(tasks))
        edge = 1e-3 * (high - low)
        touching = free & ((x - low < edge) | (high - x < edge))
        at_bound = tuple(n for n, hit in zip(law.names, touching, strict=True) if hit)
    n_visits, n_fitted = problem.days.size, int(free.sum()) - len(problem.tied)
    jac = batch.model(tasks, x[None], np.zeros(1, int))[1][0, :n_visits] @ _slopes(batch, tasks, x)
    rank = int(np.linalg.matrix_rank(jac, rtol=1e-6)) if n_fitted else 0
    residuals = batch.predict(x[None], np.zeros(1, int))[0] - problem.areas
    held = tuple(n for n in problem.held if n not in problem.fixed and problem.courses.starts)
    warnings = _warnings(n_visits, n_fitted, rank, bool(held), at_bound)
    for text in warnings:
        logger.info("timeline %s, growth model %s: %s", problem.name, law.name, text)
    return FitResult(
        problem, values, np.broadcast_to(residuals, problem.areas.shape), held, at_bound,
        n_fitted, rank, cost, tuple(warnings),
    )  # fmt: skip


def _slopes(batch: Batch, tasks: Tasks, x: np.ndarray) -> np.ndarray:
    """Derivatives of all coordinates in those that are fitted, (P, F)."""
    tied = batch.problems[0].tied
    if not tied:
        return np.eye(x.size)[:, ~batch.held[0]]
    low, high = batch.limits(tasks)
    return tie_slopes(lmfit_parameters(batch.law, x, low[0], high[0], tied=tied), batch.law)


def _warnings(
    n_visits: int, n_fitted: int, rank: int, held: bool, at_bound: tuple[str, ...]
) -> list[str]:
    warnings = []
    if n_visits < n_fitted:
        warnings.append(f"{n_visits} visits for {n_fitted} parameters: values are not identified")
    elif rank < n_fitted:
        warnings.append(f"the Jacobian of {n_fitted} parameters has rank {rank}")
    if held:
        warnings.append("no visit after the start of radiotherapy: its effect is assumed")
    if at_bound:
        warnings.append("at a bound: " + ", ".join(at_bound))
    return warnings

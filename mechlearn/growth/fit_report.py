"""Reports of a fit: in words, and as lmfit's result with its correlations and intervals."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mechlearn.growth.fit import FitResult, fit_problem, point_fit
from mechlearn.growth.fit_problems import FitProblem, Tasks
from mechlearn.growth.growth_model import Parameter
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.solvers import minimise_lmfit
from mechlearn.records import SizeSeries

if TYPE_CHECKING:
    import lmfit

__all__ = ["fit_text", "lmfit_result"]

_INSIDE = 1e-3  # share of the range by which the start keeps away from a bound


def fit_text(result: FitResult) -> str:
    """Growth model, visits, every parameter with unit, value and remark, and the warnings."""
    problem, values = result.problem, result.parameters
    first, last = problem.origin_day, problem.origin_day + problem.days[-1]
    lines = [
        f"timeline {problem.name}: law {result.law.name}, {problem.days.size} visit(s), "
        f"days {first:g} to {last:g}, {result.n_fitted} parameter(s) fitted"
    ]
    wide = max(len(p.name) for p in result.law.parameters)
    for p in result.law.parameters:
        unit = "mm^2" if p.name == "initial_area" else p.unit
        shown = f"{values[p.name]:.4g} {unit if unit != '1' else ''}".rstrip()
        remark = _remark(result, p)
        lines.append(f"  {p.name:<{wide}}  {shown:<16}  {remark}".rstrip())
    aicc = "undefined (too few visits)" if result.aicc is None else f"{result.aicc:.4g}"
    lines.append(f"  AICc {aicc}; {result.rank} of {result.n_fitted} directions move the residuals")
    lines += [f"  warning: {text}" for text in result.warnings]
    return "\n".join(lines)


def _remark(result: FitResult, p: Parameter) -> str:
    problem = result.problem
    if p.name in problem.fixed:
        return "fixed"
    if p.name in problem.tied:
        return f"= {problem.tied[p.name]}"
    if p.name in problem.held:
        return "held: no visit after the start of radiotherapy"
    if p.name in result.at_bound:
        value = float(result.values[result.law.names.index(p.name)])
        end = "lower" if value - p.low < p.high - value else "upper"
        return f"at its {end} bound"
    return f"in [{p.low:g}, {p.high:g}]" + (" first areas" if p.name == "initial_area" else "")


def lmfit_result(timeline: SizeSeries, spec: GrowthSpec) -> lmfit.minimizer.MinimizerResult:
    """The best fit of a slice to all its visits, as lmfit reports it.

        result = lmfit_result(timeline, GrowthSpec(law="exponential"))
        print(lmfit.fit_report(result))
        print(lmfit.ci_report(lmfit.conf_interval(result.minimizer, result)))

    `log_growth_rate` is what the fit moves, `growth_rate` its natural value; `initial_area` is in
    first areas. The residuals are those of a fit, so with `spec.ridge` they hold one weak pull a
    parameter beside the visits: lmfit's error bars count them as measurements. Take ridge=0 for
    those of least squares alone.

    Raises:
        DegenerateSeriesError, RuntimeError: as `fit`.
        ValueError: the law is not fitted (carry_forward).
    """
    law = spec.resolve()
    if law.estimate is not None:
        raise ValueError(
            f"growth.law={law.name!r}: is an estimate, nothing is minimised. Use another law."
        )
    problem = FitProblem.of(timeline, law, alpha_beta_gy=spec.dose_model, fixed=spec.fixed,
                            tied=spec.tied)  # fmt: skip
    batch = fit_problem(problem, ridge=spec.ridge, residuals=spec.residuals)
    if spec.ridge == 0:
        batch = dataclasses.replace(batch, objective=dataclasses.replace(
            batch.objective, pull=np.zeros((0, len(law.parameters)))))  # fmt: skip
    rng = np.random.default_rng(spec.seed)
    _, minima = point_fit(batch, spec.n_starts, rng, engine=spec.engine)
    centre = batch.objective.centre[None]
    tasks = Tasks(np.zeros(1, int), batch.areas, centre, centre[:, None])
    low, high = (ends[0] for ends in batch.limits(tasks))
    margin = _INSIDE * (high - low)
    start = np.clip(minima[0], low + margin, high - margin)
    return minimise_lmfit(batch, tasks, 0, start, low, high, 1e-10, natural=True)

"""One slice through lmfit, for what lmfit offers on top: reports, correlations, intervals."""

from __future__ import annotations

import dataclasses

import lmfit
import numpy as np

from mechlearn.growth.batch import Tasks
from mechlearn.growth.engines import minimise_lmfit
from mechlearn.growth.fit import fit_problem, point_fit
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.problem import FitProblem
from mechlearn.records import SizeSeries

__all__ = ["lmfit_result"]

_INSIDE = 1e-3  # share of the range by which the start keeps away from a bound


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

"""Two engines, one objective: what the batched one finds, lmfit finds too."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.fit import fit, fit_problem
from mechlearn.growth.fit_problems import Batch, FitProblem, Tasks
from mechlearn.growth.growth_spec import ENGINE_NAMES
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.solvers import ENGINES, solve_batched, solve_lmfit
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.12, "decay_rate": 0.04,
    "delay": 20.0, "slope": 0.15, "capacity": 5.0, "slowing_rate": 0.005,
}  # fmt: skip
RT = (Radiotherapy(35.0),)
LAW_NAMES = [name for name, law in GROWTH_MODELS.items() if law.estimate is None]


def noisy(name, seed, noise=0.1) -> SizeSeries:
    """Eight visits of the law with relative noise."""
    days = np.array([0.0, 30, 50, 75, 100, 130, 180, 240])
    truth = TRUTH | ({"slope": 12.0} if name == "algorithm1" else {})
    rng = np.random.default_rng(seed)
    areas = GROWTH_MODELS[name].area(days, truth, RT) * np.exp(noise * rng.normal(size=days.size))
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries(f"p{seed}/z070", f"p{seed}", visits, RT)


def starting(name, seed, n_starts) -> tuple[Batch, Tasks]:
    """One task whose starts surround the law's own."""
    problem = FitProblem.of(noisy(name, seed), GROWTH_MODELS[name])
    batch = fit_problem(problem, ridge=0.01, residuals="area")
    law, centre = batch.law, batch.objective.centre[None]
    widths = np.array([p.width for p in law.parameters])
    spread = np.random.default_rng(seed).normal(size=(1, n_starts, widths.size)) * widths
    spread[:, 0] = 0
    return batch, Tasks(np.zeros(1, int), batch.areas, centre, centre[:, None] + spread)


def test_engines_are_those_of_the_spec():
    assert tuple(ENGINES) == ENGINE_NAMES


@pytest.mark.parametrize("name", LAW_NAMES)
def test_from_one_start_both_engines_reach_one_minimum(name):
    batch, tasks = starting(name, 1, n_starts=1)
    ours, theirs = solve_batched(batch, tasks), solve_lmfit(batch, tasks)
    assert ours.converged.all()
    assert theirs.converged.all()
    assert ours.cost == pytest.approx(theirs.cost, rel=1e-4)
    curves = [batch.predict(f.x, tasks.rows) for f in (ours, theirs)]
    assert curves[0] == pytest.approx(curves[1], rel=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["ode", "gompertz_rt"])
def test_batched_cost_is_not_above_the_best_of_twenty_lmfit_starts(name, seed):
    batch, tasks = starting(name, seed, n_starts=20)
    ours, theirs = solve_batched(batch, tasks), solve_lmfit(batch, tasks)
    assert ours.cost[0] <= 1.001 * theirs.cost[0]


def test_fit_through_lmfit_is_the_batched_fit():
    series = noisy("exponential", 3)
    ours, theirs = (fit(series, "exponential", n_starts=2, engine=e) for e in ENGINE_NAMES)
    assert theirs.parameters == pytest.approx(ours.parameters, rel=1e-4)


def test_fit_of_a_task_does_not_depend_on_the_others():
    problems = [FitProblem.of(noisy("ode", seed), GROWTH_MODELS["ode"]) for seed in range(5)]
    several = Batch.of(problems, starting("ode", 0, 1)[0].objective)
    centre = several.objective.centre
    centres = np.tile(centre, (5, 1))
    together = solve_batched(several, Tasks(np.arange(5), several.areas, centres, centres[:, None]))
    for i, problem in enumerate(problems):
        batch = Batch.of([problem], several.objective)
        one = Tasks(np.zeros(1, int), batch.areas, centre[None], centre[None, None])
        assert np.array_equal(solve_batched(batch, one).x[0], together.x[i])


def test_visits_that_pad_a_batch_do_not_count():
    long, short = noisy("exponential", 0), noisy("exponential", 1).before(120)
    law = GROWTH_MODELS["exponential"]
    objective = starting("exponential", 0, 1)[0].objective
    both = Batch.of([FitProblem.of(t, law) for t in (long, short)], objective)
    centres = np.tile(objective.centre, (2, 1))
    together = solve_batched(both, Tasks(np.arange(2), both.areas, centres, centres[:, None]))
    alone = fit(short, law, n_starts=1)
    assert both.values(together.x)[1] == pytest.approx(alone.values, rel=1e-5)


def test_best_start_is_kept():
    batch, tasks = starting("ode", 2, n_starts=12)
    best = solve_batched(batch, tasks).cost[0]
    each = [
        solve_batched(batch, Tasks(tasks.rows, tasks.targets, tasks.centres, tasks.starts[:, [k]]))
        for k in range(12)
    ]
    assert best == min(f.cost[0] for f in each if f.converged[0])


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_held_parameters_stay_where_they_are(engine):
    days, areas = (0.0, 30.0, 60.0), (400.0, 500.0, 640.0)
    visits = tuple(SizeReading(d, a) for d, a in zip(days, areas, strict=True))
    result = fit(SizeSeries("p1/z070", "p1", visits, (Radiotherapy(200.0),)), engine=engine)
    starts = {p.name: p.start for p in GROWTH_MODELS["ode"].parameters}
    assert {n: result.parameters[n] for n in result.held} == pytest.approx(
        {n: starts[n] for n in result.held}
    )


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_bounds_that_cross_leave_the_task_unsolved(engine):
    batch, tasks = starting("exponential", 0, n_starts=1)
    erased = Tasks(tasks.rows, -tasks.targets, tasks.centres, tasks.starts)
    found = ENGINES[engine](batch, erased, 1e-8)
    assert not found.converged[0]

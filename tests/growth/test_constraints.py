"""Parameters that are fixed or tied."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.fit import fit
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.size_forecast import forecast
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.12, "decay_rate": 0.036,
    "delay": 20.0, "slope": 0.15, "capacity": 5.0, "slowing_rate": 0.005,
}  # fmt: skip
DAYS = np.array([0.0, 30, 50, 75, 100, 130, 180, 240])
RT = (Radiotherapy(35.0),)


def series(name="ode", noise=0.03, days=DAYS, rt=RT) -> SizeSeries:
    areas = GROWTH_MODELS[name].area(days, TRUTH, rt)
    areas = areas * np.exp(noise * np.random.default_rng(0).normal(size=days.size))
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries("p1/z070", "p1", visits, rt)


# --- fixed ------------------------------------------------------------------------------------


ONE_LAW = "growth.population=null and one growth.law"


@pytest.mark.parametrize("engine", ["batched", "lmfit"])
def test_fixed_parameter_keeps_its_value(engine):
    result = fit(series(), fixed={"slope": 0.3, "delay": 25.0}, engine=engine, n_starts=2)
    assert result.parameters["slope"] == pytest.approx(0.3)
    assert result.parameters["delay"] == pytest.approx(25.0)
    assert result.n_fitted == 4


def test_fixing_a_parameter_at_its_truth_recovers_the_others():
    result = fit(series(noise=0.0), fixed={"slope": TRUTH["slope"]}, ridge=0.0)
    truth = {n: TRUTH[n] for n in GROWTH_MODELS["ode"].names}
    assert result.parameters == pytest.approx(truth, rel=0.01)


def test_fixed_parameters_make_a_short_series_identifiable():
    short = series(days=DAYS[:5])
    fixed = {"slope": 0.15, "delay": 20.0, "decay_rate": 0.036}
    assert not fit(short).identifiable
    assert fit(short, fixed=fixed).identifiable


def test_fixed_parameter_is_not_called_held():
    before = fit(series().before(35), fixed={"slope": 0.3})
    assert before.held == ("survival_fraction", "decay_rate", "delay")
    assert before.parameters["slope"] == pytest.approx(0.3)


def test_fixed_parameter_does_not_pull_the_fit():
    """The ridge of a parameter that cannot move is no part of the cost."""
    flat = fit(series("exponential", 0.0, rt=()), "gompertz", fixed={"slowing_rate": 1e-5})
    assert flat.cost < 1e-4


def test_fixed_parameter_is_fixed_in_every_refit():
    spec = GrowthSpec(law="exponential", fixed={"growth_rate": 0.01}, n_bootstrap=10)
    made = forecast(series("exponential"), 240, spec=spec)
    assert made.parameters["growth_rate"] == pytest.approx(np.full(10, 0.01))


def test_fallback_law_needs_no_fixed_parameters():
    spec = GrowthSpec(fixed={"slope": 0.1}, fallback="carry_forward", n_bootstrap=5)
    assert forecast(series().before(60), 50, spec=spec).law == "carry_forward"


# --- tied -------------------------------------------------------------------------------------


def test_tied_parameter_follows_its_expression():
    result = fit(series(), tied={"decay_rate": "3 * growth_rate"}, engine="lmfit", n_starts=2)
    ratio = result.parameters["decay_rate"] / result.parameters["growth_rate"]
    assert ratio == pytest.approx(3.0)
    assert result.n_fitted == result.rank == 5


def test_tie_that_holds_in_truth_recovers_the_parameters():
    tied = {"decay_rate": "3 * growth_rate"}
    result = fit(series(noise=0.0), tied=tied, engine="lmfit", n_starts=2, ridge=0.0)
    truth = {n: TRUTH[n] for n in GROWTH_MODELS["ode"].names}
    assert result.parameters == pytest.approx(truth, rel=0.01)


def test_tied_cost_is_a_minimum_along_the_tie():
    tied = {"slope": "3 / delay"}
    result = fit(series(), tied=tied, engine="lmfit", n_starts=2, ridge=0.0)
    areas = series().sizes
    best = np.sum((result.area(DAYS) - areas) ** 2)
    for factor in (0.98, 1.02):
        delay = factor * result.parameters["delay"]
        moved = result.parameters | {"delay": delay, "slope": 3 / delay}
        assert np.sum((result.law.area(DAYS, moved, RT) - areas) ** 2) > best


def test_tied_parameter_stays_within_its_bounds():
    tied = {"survival_fraction": "1000 * growth_rate"}
    result = fit(series(), tied=tied, engine="lmfit", n_starts=2)
    assert result.parameters["survival_fraction"] == pytest.approx(0.2)


def test_tied_forecast_keeps_the_tie_in_every_refit():
    spec = GrowthSpec(tied={"decay_rate": "growth_rate"}, engine="lmfit", n_bootstrap=3, n_starts=2)
    made = forecast(series(), 240, spec=spec)
    rates = made.parameters["growth_rate"]
    assert made.parameters["decay_rate"] == pytest.approx(rates)
    assert rates.std() > 0


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fixed": {"speed": 1.0}}, "growth.fixed='speed'.*growth_rate"),
        ({"fixed": {"initial_area": 400.0}}, "growth.fixed.initial_area=400.*growth.bounds"),
        ({"fixed": {"delay": 1e6}}, "growth.fixed.delay=1000000.0.*between.*growth.bounds.delay"),
        ({"fixed": {"delay": float("nan")}}, "growth.fixed.delay=nan"),
        ({"tied": {"speed": "1"}}, "growth.tied='speed'"),
        ({"tied": {"initial_area": "1"}}, "growth.tied.initial_area"),
        ({"tied": {"delay": "3 *"}}, r"growth.tied.delay='3 \*': not an expression"),
        ({"tied": {"delay": "3 * sloop"}}, "growth.tied.delay='3 . sloop': sloop is not.*slope"),
        ({"tied": {"delay": "delay + 1"}}, "growth.tied.delay=.*delay is not an untied parameter"),
        ({"tied": {"delay": "1 / slope", "slope": "1 / delay"}}, "not an untied parameter of ode"),
        ({"tied": {"delay": "__import__('os')"}}, "__import__ is not an untied parameter"),
        ({"tied": {"delay": "30"}, "fixed": {"delay": 30.0}}, "tied as well"),
        ({"tied": {"delay": "30"}, "engine": "batched"}, "growth.engine='batched'.*engine=lmfit"),
        ({"fixed": {"delay": 30.0}, "population": "phantom"}, ONE_LAW),
        ({"tied": {"delay": "30"}, "population": "phantom"}, ONE_LAW),
    ],
)
def test_wrong_constraint_is_refused_with_a_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        GrowthSpec(**({"engine": "lmfit"} | change))


def test_fit_refuses_what_the_spec_refuses():
    with pytest.raises(ValueError, match="growth.tied=.*Use growth.engine=lmfit"):
        fit(series(), tied={"delay": "30"})

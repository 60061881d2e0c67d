"""Counterfactual courses: what the fitted law says had treatment been another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mechlearn.growth.counterfactual import what_if
from mechlearn.growth.ensemble import Ensemble, Member
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.measurement_noise import Discrepancy
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.population_prior import PopulationPrior, population_model
from mechlearn.growth.size_forecast import forecast
from mechlearn.growth.treatment import effect_gy
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.12, "decay_rate": 0.04,
    "delay": 10.0, "slope": 0.15,
}  # fmt: skip
DAYS = np.array([0.0, 30, 50, 75, 100, 130, 180])
GIVEN = Radiotherapy(35.0, 77.0, 60.0, 30)
SPEC = GrowthSpec(n_bootstrap=12, n_starts=4, setup="all", curve_points=61)


def series(courses=(GIVEN,), days=DAYS) -> SizeSeries:
    areas = GROWTH_MODELS["ode"].area(days, TRUTH, courses)
    areas = areas * np.exp(0.03 * np.random.default_rng(0).normal(size=days.size))
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries("p1/z070", "p1", visits, courses)


def member(name, weight=1.0) -> Member:
    law = population_model(GROWTH_MODELS[name])
    mean = [np.log(p.start) if p.scale == "log" else p.start for p in law.parameters]
    spread = np.array([0.4 * p.width for p in law.parameters])
    noise = Discrepancy(0.08, 0.02)
    return Member(PopulationPrior(law, np.array(mean), np.diag(spread**2), noise, 1.0), weight)


POOL = Ensemble((member("ode", 0.6), member("gompertz_rt", 0.2), member("exponential", 0.2)))
WITH_POOL = dataclasses.replace(SPEC, law="pooled", population="given", n_bootstrap=40)
WAYS = pytest.mark.parametrize(
    ("spec", "ensemble"),
    [(SPEC, None), (WITH_POOL, POOL), (dataclasses.replace(WITH_POOL, law="ode"), POOL)],
    ids=["bootstrap", "pooled", "one law of an ensemble"],
)


@WAYS
def test_unchanged_courses_give_the_forecast_itself(spec, ensemble):
    same = what_if(series(), 240, spec=spec, courses=[GIVEN], ensemble=ensemble)
    plain = forecast(series(), 240, spec=spec, ensemble=ensemble)
    assert np.array_equal(same.curves, plain.curves)
    assert np.array_equal(same.samples, plain.samples)


@WAYS
def test_a_course_on_the_same_day_needs_no_dose(spec, ensemble):
    same = what_if(series(), 240, spec=spec, courses=[Radiotherapy(35.0)], ensemble=ensemble)
    plain = forecast(series(), 240, spec=spec, ensemble=ensemble)
    assert same.curves == pytest.approx(plain.curves, rel=1e-9)


@WAYS
def test_curves_agree_until_the_courses_differ(spec, ensemble):
    later = what_if(series(), 240, spec=spec, courses=[Radiotherapy(60.0)], ensemble=ensemble)
    plain = forecast(series(), 240, spec=spec, ensemble=ensemble)
    before = plain.curve_days <= 35
    assert later.curves[:, before] == pytest.approx(plain.curves[:, before], rel=1e-9)
    after = plain.curve_days > 60
    assert not np.allclose(later.curves[:, after], plain.curves[:, after])


@WAYS
def test_earlier_radiotherapy_makes_a_smaller_tumour_soon_after(spec, ensemble):
    early = what_if(series(), 240, spec=spec, courses=[Radiotherapy(5.0)], ensemble=ensemble)
    plain = forecast(series(), 240, spec=spec, ensemble=ensemble)
    soon = np.argmin(np.abs(plain.curve_days - 50))
    assert np.median(early.curves[:, soon]) < 0.95 * np.median(plain.curves[:, soon])


@WAYS
def test_higher_dose_leaves_a_smaller_tumour(spec, ensemble):
    sizes = [
        what_if(series(), 240, spec=spec, ensemble=ensemble,
                courses=[dataclasses.replace(GIVEN, dose_gy=dose)]).median
        for dose in (45.0, 60.0, 75.0)
    ]  # fmt: skip
    assert sizes[0] > sizes[1] > sizes[2]


def test_without_radiotherapy_the_ode_grows_exponentially():
    made = what_if(series(), 240, spec=SPEC, courses=[])
    first, rate = made.parameters["initial_area"], made.parameters["growth_rate"]
    expected = first[:, None] * np.exp(rate[:, None] * made.curve_days)
    assert made.curves == pytest.approx(expected, rel=1e-8)


def test_other_courses_are_those_of_the_law():
    courses = (Radiotherapy(20.0), Radiotherapy(120.0))
    made = what_if(series(), 240, spec=SPEC, courses=courses)
    expected = GROWTH_MODELS["ode"].area(made.curve_days, made.parameters, courses)
    assert made.curves == pytest.approx(expected, rel=1e-8)


def test_another_dose_changes_survival_by_the_linear_quadratic_model():
    fewer = dataclasses.replace(GIVEN, dose_gy=40.0, fractions=15)
    made = what_if(series(), 240, spec=SPEC, courses=[fewer])
    effects = [effect_gy(c, alpha_beta_gy=SPEC.alpha_beta_gy) for c in (fewer, GIVEN)]
    survival = made.parameters["survival_fraction"] ** (effects[0] / effects[1])
    params = {**made.parameters, "survival_fraction": survival}
    expected = GROWTH_MODELS["ode"].area(made.curve_days, params, (GIVEN,))
    assert made.curves == pytest.approx(expected, rel=1e-8)


def test_linear_quadratic_law_takes_the_dose_as_it_is():
    spec = dataclasses.replace(SPEC, survival="linear_quadratic")
    courses = [dataclasses.replace(GIVEN, dose_gy=30.0, fractions=10)]
    made = what_if(series(), 240, spec=spec, courses=courses)
    survival = np.exp(-made.parameters["radiosensitivity"] * 30 * (1 + 3 / 10))
    params = {**made.parameters, "survival_fraction": survival}
    expected = GROWTH_MODELS["ode"].area(made.curve_days, params, (GIVEN,))
    assert made.curves == pytest.approx(expected, rel=1e-8)


def test_course_before_the_first_visit_keeps_the_first_size():
    made = what_if(series(), 240, spec=SPEC, courses=[Radiotherapy(-40.0)])
    plain = forecast(series(), 240, spec=SPEC)
    assert made.curves[:, 0] == pytest.approx(plain.curves[:, 0])


def test_first_visit_need_not_be_day_zero():
    moved = dataclasses.replace(
        series(), courses=(dataclasses.replace(GIVEN, start_day=135.0, end_day=None),),
        visits=tuple(SizeReading(v.day + 100, v.size) for v in series().visits),
    )  # fmt: skip
    there = what_if(moved, 340, spec=SPEC, courses=[Radiotherapy(160.0)])
    here = what_if(series(), 240, spec=SPEC, courses=[Radiotherapy(60.0)])
    assert there.samples == pytest.approx(here.samples, rel=1e-6)


def test_model_error_stays_as_it_was_drawn():
    spec = dataclasses.replace(WITH_POOL, law="ode")
    plain = forecast(series(), 240, spec=spec, ensemble=POOL)
    other = what_if(series(), 240, spec=spec, courses=[Radiotherapy(60.0)], ensemble=POOL)
    laws = [GROWTH_MODELS["ode"].area(plain.curve_days, plain.parameters, (Radiotherapy(s),))
            for s in (35.0, 60.0)]  # fmt: skip
    assert other.curves / plain.curves == pytest.approx(laws[1] / laws[0], rel=1e-8)


def test_laws_without_radiotherapy_keep_their_share_of_a_pool():
    plain = forecast(series(), 240, spec=WITH_POOL, ensemble=POOL)
    other = what_if(series(), 240, spec=WITH_POOL, courses=[], ensemble=POOL)
    same = np.isclose(other.samples, plain.samples, rtol=1e-9)
    assert same.sum() == pytest.approx(0.2 * 40)
    assert other.weights == plain.weights


def test_train_setup_does_not_see_the_forecast_day():
    spec = dataclasses.replace(SPEC, setup="train")
    visits = (*series().visits[:-1], SizeReading(180.0, 1e6))
    truth = dataclasses.replace(series(), visits=visits)
    made = [what_if(t, 180, spec=spec, courses=[]).median for t in (series(), truth)]
    assert made[0] == made[1]


def test_max_growth_limits_the_other_world_too():
    spec = dataclasses.replace(SPEC, max_growth=1.5)
    made = what_if(series(), 400, spec=spec, courses=[])
    assert made.samples.max() == pytest.approx(1.5 * series().sizes.max())


@pytest.mark.parametrize("law", ["exponential", "gompertz", "carry_forward"])
def test_law_without_radiotherapy_is_refused(law):
    with pytest.raises(ValueError, match=f"p1/z070: growth.law='{law}'.*Use one that does: ode"):
        what_if(series(), 240, spec=dataclasses.replace(SPEC, law=law), courses=[])


def test_pool_without_radiotherapy_is_refused():
    ensemble = Ensemble((member("exponential"),))
    with pytest.raises(ValueError, match="exponential.*does not include radiotherapy"):
        what_if(series(), 240, spec=WITH_POOL, courses=[], ensemble=ensemble)


def test_course_never_seen_needs_a_population():
    unseen = series(courses=(), days=DAYS[:4])
    with pytest.raises(ValueError, match="p1/z070: no visit after the start.*growth.population"):
        what_if(unseen, 240, spec=SPEC, courses=[Radiotherapy(90.0)])
    treated = what_if(unseen, 240, spec=WITH_POOL, courses=[Radiotherapy(90.0)], ensemble=POOL)
    assert treated.median < forecast(unseen, 240, spec=WITH_POOL, ensemble=POOL).median


@pytest.mark.parametrize(
    ("actual", "other"),
    [
        (Radiotherapy(35.0), Radiotherapy(35.0, dose_gy=60.0, fractions=30)),
        (GIVEN, Radiotherapy(35.0, dose_gy=40.0)),
        (dataclasses.replace(GIVEN, fractions=None), dataclasses.replace(GIVEN, dose_gy=40.0)),
    ],
)
def test_dose_that_is_needed_and_not_known_is_refused(actual, other):
    with pytest.raises(ValueError, match="p1/z070: radiotherapy from day 35.*Fill them in"):
        what_if(series((actual,)), 240, spec=SPEC, courses=[other])


def test_linear_quadratic_law_refuses_a_course_without_fractions():
    spec = dataclasses.replace(SPEC, survival="linear_quadratic")
    with pytest.raises(ValueError, match="radiotherapy from day 60.*needs both"):
        what_if(series(), 240, spec=spec, courses=[Radiotherapy(60.0, dose_gy=50.0)])


def test_linear_quadratic_course_without_a_dose_has_the_actual_one():
    spec = dataclasses.replace(SPEC, survival="linear_quadratic")
    bare, full = Radiotherapy(60.0), Radiotherapy(60.0, None, GIVEN.dose_gy, GIVEN.fractions)
    made = [what_if(series(), 240, spec=spec, courses=[c]).samples for c in (bare, full)]
    assert np.array_equal(*made)


def test_unsorted_courses_are_refused():
    with pytest.raises(ValueError, match="p1/z070: a course .* must be sorted"):
        what_if(series(), 240, spec=SPEC, courses=[Radiotherapy(60.0), Radiotherapy(20.0)])

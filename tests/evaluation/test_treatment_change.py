"""Questions about radiotherapy: which course is changed, how it is told, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.treatment_change import (
    CourseChange,
    RefusedChangeError,
    forecast_changed,
    responding,
    what_if_row,
)
from mechlearn.growth.counterfactual import what_if
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

FIRST = Radiotherapy(10.0, 52.0, 60.0, 30)
SECOND = Radiotherapy(200.0, None, 30.0, 10)
SPEC = GrowthSpec(law="gompertz_rt", n_bootstrap=10, n_starts=1)


def series(courses=(FIRST,)) -> SizeSeries:
    days = np.array([0.0, 40, 80, 120, 160])
    parameters = GROWTH_MODELS["gompertz_rt"].parameters
    start = {p.name: p.start for p in parameters} | {"initial_area": 500.0}
    areas = GROWTH_MODELS["gompertz_rt"].area(days, start, courses)
    visits = tuple(map(SizeReading, days.tolist(), areas.tolist()))
    return SizeSeries("p1/z070", "p1", visits, courses)


def test_the_last_course_is_changed_unless_one_is_named():
    last = CourseChange(rt_start_day=150.0).applied((FIRST, SECOND), patient="p1")
    assert [c.start_day for c in last] == [10.0, 150.0]
    named = CourseChange(rt_start_day=20.0, course=1).applied((FIRST, SECOND), patient="p1")
    assert [c.start_day for c in named] == [20.0, 200.0]


def test_a_moved_course_keeps_its_length_and_dose():
    (moved,) = CourseChange(rt_start_day=30.0).applied((FIRST,), patient="p1")
    assert moved == Radiotherapy(30.0, 72.0, 60.0, 30)


def test_another_dose_leaves_the_days():
    (other,) = CourseChange(dose_gy=54.0, fractions=27).applied((FIRST,), patient="p1")
    assert other == Radiotherapy(10.0, 52.0, 54.0, 27)


def test_no_radiotherapy_is_no_course():
    assert CourseChange(rt=False).applied((FIRST, SECOND), patient="p1") == ()


def test_an_untreated_patient_may_be_given_a_course():
    change = CourseChange(rt_start_day=30.0)
    assert change.applied((), patient="p1") == (Radiotherapy(30.0),)
    assert change.words(()) == "radiotherapy from day 30 (there was none)"


@pytest.mark.parametrize(("change", "courses", "words"), [
    (CourseChange(rt=False), (FIRST,), "no radiotherapy"),
    (CourseChange(rt_start_day=30.0), (FIRST,), "radiotherapy from day 30 instead of 10"),
    (CourseChange(rt_start_day=30.0, course=1), (FIRST, SECOND),
     "radiotherapy (course 1 of 2) from day 30 instead of 10"),
    (CourseChange(dose_gy=54.0, fractions=27), (FIRST,),
     "radiotherapy 54 Gy in 27 fractions instead of 60 Gy in 30"),
])  # fmt: skip
def test_words_say_what_is_changed(change, courses, words):
    assert change.words(courses) == words


@pytest.mark.parametrize(("asked", "message"), [
    ({"fractions": 30}, r"what_if\.fractions=30, what_if\.dose_gy=null.*Give what_if\.dose_gy"),
    ({"dose_gy": 54.0}, r"what_if\.dose_gy=54, what_if\.fractions=null"),
    ({"dose_gy": -1.0, "fractions": 30}, r"what_if\.dose_gy=-1\.0: must lie between 0.1 and"),
    ({"dose_gy": 5400.0, "fractions": 30}, r"what_if\.dose_gy=5400\.0: .* not cGy"),
    ({"dose_gy": float("nan"), "fractions": 30}, r"what_if\.dose_gy=nan: must lie between"),
    ({"rt": False, "rt_start_day": 30.0}, r"what_if\.rt=false with what_if\.rt_start_day=30"),
    ({"rt": True}, r"what_if\.rt=true: no change is given"),
    ({"course": 2}, r"what_if\.course=2: no change is given"),
    ({"rt_start_day": 30.0, "course": 0}, r"what_if\.course=0: must lie between 1"),
    ({"rt_start_day": float("nan")}, r"what_if\.rt_start_day=nan: must be a finite"),
])  # fmt: skip
def test_values_that_do_not_go_together_are_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        CourseChange(**asked)


@pytest.mark.parametrize(("change", "courses", "message"), [
    (CourseChange(rt=False), (), "no course of radiotherapy to change"),
    (CourseChange(dose_gy=54.0, fractions=30), (), "has no course of radiotherapy"),
    (CourseChange(rt_start_day=30.0, course=3), (FIRST, SECOND), "there are 2 course.*10, 200"),
    (CourseChange(rt_start_day=10.0), (FIRST,), "this is the actual course"),
    (CourseChange(rt_start_day=5.0), (FIRST, SECOND), "moves course 2 past another"),
])  # fmt: skip
def test_changes_that_a_patient_does_not_allow_are_refused(change, courses, message):
    with pytest.raises(RefusedChangeError, match=f"patient p1: .*{message}"):
        change.applied(courses, patient="p1")


def test_forecast_is_that_of_the_growth_side():
    made = forecast_changed(series(), 240, growth=SPEC, change=CourseChange(rt_start_day=60.0))
    plain = what_if(series(), 240, spec=SPEC, courses=made.courses)
    assert np.array_equal(made.forecast.samples, plain.samples)
    assert what_if_row(made)["what_if_median_mm2"] == plain.median


def test_the_message_of_the_growth_side_is_passed_on():
    change = CourseChange(dose_gy=54.0, fractions=30)
    with pytest.raises(RefusedChangeError, match="another dose can be compared.*Fill them in"):
        forecast_changed(series((Radiotherapy(10.0),)), 240, growth=SPEC, change=change)


def test_laws_that_do_not_know_radiotherapy_are_counted():
    pooled = GrowthSpec(law="pooled", population="phantom", n_bootstrap=50)
    made = forecast_changed(series(), 240, growth=pooled, change=CourseChange(rt=False))
    deaf = [law for law, hears in responding(pooled).items() if not hears]
    assert set(deaf) == {"exponential", "gompertz", "carry_forward"}
    assert made.unmoved == pytest.approx(sum(made.forecast.weights.get(law, 0) for law in deaf))


def test_nothing_asked_adds_nothing_to_a_row():
    assert what_if_row(None) == {}

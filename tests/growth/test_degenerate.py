"""Poor series: every law gives finite curves, or refuses with the slice named."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.size_forecast import forecasts
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

WEEKS = (0.0, 30.0, 60.0, 90.0)
GROWING = (400.0, 500.0, 640.0, 790.0)
DURING = (35.0,)

# name -> areas, days, starts of radiotherapy
SERIES = {
    "zeros": ((0.0, 0.0, 0.0), (0, 30, 60), DURING),
    "zero at first": ((0.0, 400.0, 500.0), (0, 30, 60), DURING),
    "vanishing": ((400.0, 100.0, 0.0, 0.0), WEEKS, DURING),
    "vanished and back": ((400.0, 0.0, 0.0, 900.0), WEEKS, DURING),
    "tiny": ((1e-6, 2e-6, 3e-6, 5e-6), WEEKS, DURING),
    "tiny at first": ((1e-6, 400.0, 500.0, 600.0), WEEKS, DURING),
    "tiny at last": ((400.0, 500.0, 1e-6, 1e-6), WEEKS, DURING),
    "as large as a brain": ((1e4, 2e4, 3e4, 4e4), WEEKS, DURING),
    "rt before the first visit": (GROWING, WEEKS, (-500.0,)),
    "rt after the last visit": (GROWING, WEEKS, (1000.0,)),
    "rt on the first day": (GROWING, WEEKS, (0.0,)),
    "rt on the last day": (GROWING, WEEKS, (90.0,)),
    "four courses": (GROWING, WEEKS, (-60.0, 10.0, 70.0, 300.0)),
    "two visits on one day": (GROWING, (0.0, 0.0, 30.0, 30.0), DURING),
    "all visits on one day": (GROWING, (7.0, 7.0, 7.0, 7.0), DURING),
    "visits minutes apart": (GROWING, (0.0, 1e-3, 2e-3, 3e-3), DURING),
    "visits decades apart": (GROWING, (0.0, 1e4, 2e4, 3.6e4), DURING),
    "one visit": ((400.0,), (0.0,), DURING),
    "flat": ((400.0, 400.0, 400.0), (0, 30, 60), ()),
}


def timeline(name) -> SizeSeries:
    areas, days, starts = SERIES[name]
    visits = tuple(SizeReading(float(d), a) for d, a in zip(days, areas, strict=True))
    return SizeSeries(f"{name}/z070", name, visits, tuple(Radiotherapy(s) for s in starts))


def forecast_all(names, **given):
    """name -> forecast or error, 60 days after the last visit; all series in one batch."""
    series = [timeline(name) for name in names]
    spec = GrowthSpec(setup="all", n_starts=2, **given)
    made = forecasts(series, [float(t.days[-1]) + 60 for t in series], spec=spec)
    return dict(zip(names, made, strict=True))


@pytest.mark.parametrize(
    ("law", "residuals"),
    [*((law, "area") for law in GROWTH_MODELS), ("ode", "log"), ("linear", "log")],
)
def test_poor_series_have_finite_curves_or_are_refused_by_name(law, residuals):
    made = forecast_all(SERIES, law=law, residuals=residuals, n_bootstrap=2, curve_points=9)
    for name, outcome in made.items():
        if isinstance(outcome, Exception):
            assert isinstance(outcome, DegenerateSeriesError), name
            assert f"timeline {name}/z070: " in str(outcome)
            assert "carry_forward" in str(outcome), name
        else:
            assert np.isfinite(outcome.curves).all(), name
            assert (outcome.curves >= 0).all(), name


@pytest.mark.parametrize("law", ["ode", "gompertz_rt"])
def test_a_tumour_at_the_first_of_several_days_is_not_refused(law):
    names = [n for n, (areas, days, _) in SERIES.items()
             if areas[0] > 0 and len(areas) > 2 and len(set(days)) > 1]  # fmt: skip
    for name, outcome in forecast_all(names, law=law, n_bootstrap=2).items():
        assert not isinstance(outcome, Exception), f"{name}: {outcome}"
        assert outcome.law == law, name


def test_what_a_law_refuses_is_carried_forward():
    made = forecast_all(SERIES, n_bootstrap=4, fallback="carry_forward")
    for name, outcome in made.items():
        assert not isinstance(outcome, Exception), f"{name}: {outcome}"
        assert np.isfinite(outcome.samples).all(), name


@pytest.mark.parametrize("area", [float("nan"), float("inf"), -1.0])
def test_area_that_is_none_is_refused_with_session_and_day(area):
    with pytest.raises(ValueError, match="visit p1-t2 on day 30: size"):
        SizeReading(30.0, area, "p1-t2")


def test_day_that_is_none_is_refused_with_the_session():
    with pytest.raises(ValueError, match="visit p1-t2: day=nan"):
        SizeReading(float("nan"), 400.0, "p1-t2")


def test_unsorted_visits_are_refused_with_slice_and_days():
    visits = (SizeReading(60.0, 400.0), SizeReading(30.0, 500.0))
    with pytest.raises(ValueError, match="p1/z070: visit on day 30 follows day 60"):
        SizeSeries("p1/z070", "p1", visits)


def test_unsorted_courses_are_refused_with_slice_and_days():
    courses = (Radiotherapy(60.0), Radiotherapy(30.0))
    with pytest.raises(ValueError, match=r"p1/z070: a course .* day 30 follows that on day 60"):
        SizeSeries("p1/z070", "p1", (SizeReading(0.0, 400.0),), courses)


def test_one_course_given_twice_is_refused():
    with pytest.raises(ValueError, match="each start once"):
        SizeSeries("p1/z070", "p1", (SizeReading(0.0, 4.0),), (Radiotherapy(30.0),) * 2)


def test_series_without_a_visit_is_refused():
    with pytest.raises(ValueError, match="p1/z070: no visit"):
        SizeSeries("p1/z070", "p1", ())


def test_course_without_a_date_is_refused():
    with pytest.raises(ValueError, match="rt_start_day=nan"):
        Radiotherapy(float("nan"))

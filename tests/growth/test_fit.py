"""One fit: recovery of known curves, and what it does with poor series."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.fit import fit
from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.12, "decay_rate": 0.04,
    "delay": 20.0, "slope": 0.15, "capacity": 5.0, "slowing_rate": 0.005,
}
DAYS = np.array([0.0, 30, 50, 75, 100, 130, 180, 240])


def timeline(areas, days=None, rt=()) -> SizeSeries:
    days = DAYS[: len(areas)] if days is None else days
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries("p1/z070", "p1", visits, rt)


@pytest.mark.parametrize("name", list(GROWTH_MODELS))
def test_noise_free_curve_is_recovered(name):
    rt = (Radiotherapy(35.0),)
    law = GROWTH_MODELS[name]
    truth = TRUTH | ({"slope": 12.0} if name == "algorithm1" else {})  # days there
    result = fit(timeline(law.area(DAYS, truth, rt), rt=rt), name, ridge=0.0)
    later = np.linspace(0, 300, 40)
    assert result.area(later) == pytest.approx(law.area(later, truth, rt), rel=1e-3)


@pytest.mark.parametrize("name", ["ode", "eq6", "linear_rt", "logistic_rt", "gompertz_rt"])
def test_parameters_behind_a_noise_free_curve_are_recovered(name):
    rt, days = (Radiotherapy(35.0),), np.arange(0.0, 400, 20)
    law = GROWTH_MODELS[name]
    result = fit(timeline(law.area(days, TRUTH, rt), days, rt), name, ridge=0.0)
    expected = {p: TRUTH[p] for p in law.names}
    assert result.parameters == pytest.approx(expected, rel=5e-3)
    assert result.identifiable


def test_ridge_hardly_moves_an_identified_curve():
    rt = (Radiotherapy(35.0),)
    truth = GROWTH_MODELS["ode"].area(DAYS, TRUTH, rt)
    result = fit(timeline(truth, rt=rt), "ode")
    assert result.area(DAYS) == pytest.approx(truth, rel=0.01)


def test_fit_does_not_depend_on_the_clock():
    rt, late = (Radiotherapy(35.0),), (Radiotherapy(135.0),)
    areas = GROWTH_MODELS["ode"].area(DAYS, TRUTH, rt)
    here = fit(timeline(areas, rt=rt))
    there = fit(timeline(areas, DAYS + 100, late))
    assert there.area(DAYS + 107) == pytest.approx(here.area(DAYS + 7), rel=1e-6)


def test_fit_does_not_depend_on_the_unit_of_area():
    areas = np.array([400.0, 520, 610, 830])
    small, large = fit(timeline(areas), "exponential"), fit(timeline(100 * areas), "exponential")
    assert large.area(DAYS) == pytest.approx(100 * small.area(DAYS), rel=1e-6)


@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_sum_of_squares_is_at_its_minimum(factor):
    areas = 100 * np.exp(0.01 * DAYS)
    areas[3] *= 1.3  # squared residuals, minimised as fourth powers, would follow the outlier
    result = fit(timeline(areas), "exponential", ridge=0.0)
    moved = result.parameters | {"growth_rate": factor * result.parameters["growth_rate"]}
    assert np.sum((result.area(DAYS) - areas) ** 2) < np.sum(
        (result.law.area(DAYS, moved) - areas) ** 2
    )


def test_first_area_stays_within_ten_percent():
    result = fit(timeline([100.0, 300, 310, 305]), "linear")
    assert 90 - 1e-9 <= result.parameters["initial_area"] <= 110 + 1e-9


def test_fewer_visits_than_parameters_are_flagged():
    result = fit(timeline([400.0, 700, 300, 350], rt=(Radiotherapy(35.0),)))
    assert not result.identifiable
    assert "4 visits for 6 parameters" in result.warnings[0]


def test_well_covered_series_is_identifiable():
    assert fit(timeline([100.0, 130, 160, 200, 260]), "exponential").identifiable


def test_visits_before_radiotherapy_hold_its_parameters():
    result = fit(timeline([400.0, 500, 600], rt=(Radiotherapy(200.0),)))
    assert result.held == ("survival_fraction", "decay_rate", "delay", "slope")


def test_without_radiotherapy_only_the_growth_part_is_fitted():
    result = fit(timeline([400.0, 500, 600]))
    assert result.n_fitted == 2
    assert result.held == ()


def test_radiotherapy_before_the_first_visit_is_fitted():
    result = fit(timeline([400.0, 300, 200, 250, 350], rt=(Radiotherapy(-20.0),)))
    assert result.n_fitted == 6
    assert result.area(DAYS[:5]) == pytest.approx([400.0, 300, 200, 250, 350], rel=0.1)


def test_two_visits_on_one_day_are_fitted():
    result = fit(timeline([400.0, 420, 600, 700], [0, 0, 30, 40]), "exponential")
    assert np.isfinite(result.area(DAYS)).all()


def test_vanished_tumour_is_fitted():
    result = fit(timeline([400.0, 100, 0, 0], rt=(Radiotherapy(10.0),)))
    assert np.isfinite(result.area(DAYS)).all()


@pytest.mark.parametrize(
    ("areas", "days", "message"),
    [
        ([400.0], [0], r"p1/z070: 1 visit\(s\); growth model ode needs at least 2.*carry_forward"),
        ([400.0, 410, 390], [5, 5, 5], "p1/z070: all 3 visits are on day 5.*Correct the dates"),
        ([0.0, 400, 500], [0, 30, 60], "p1/z070: area 0 at the first visit.*Start the series"),
        ([0.0, 0, 0], [0, 30, 60], "p1/z070: area 0 at the first visit.*carry_forward"),
    ],
)
def test_degenerate_series_is_refused_with_slice_rule_and_remedy(areas, days, message):
    with pytest.raises(DegenerateSeriesError, match=message):
        fit(timeline(areas, days), "ode")


def test_given_start_outside_the_bounds_is_moved_inside():
    series = timeline([400.0, 500, 600, 720])
    far = fit(series, "exponential", start={"growth_rate": 50.0}, n_starts=1)
    assert far.area(DAYS) == pytest.approx(fit(series, "exponential").area(DAYS), rel=1e-4)


def test_start_of_an_unknown_parameter_is_refused():
    with pytest.raises(ValueError, match="start='speed'"):
        fit(timeline([400.0, 500, 600]), "exponential", start={"speed": 1.0})

"""Profile likelihoods against what is known in closed form, and verdicts a person can read."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import chi2

from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_model import GrowthModel, Parameter
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.identifiability import identifiability, profile
from mechlearn.growth.models import GROWTH_MODELS, INITIAL_AREA
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.06, "decay_rate": 0.04,
    "delay": 20.0, "slope": 0.15, "capacity": 5.0, "slowing_rate": 0.005,
}  # fmt: skip
RT = (Radiotherapy(35.0),)
DAYS = np.array([0.0, 30, 50, 75, 100, 130, 180, 240])
OPEN_FIRST = {"initial_area": [0.3, 3.0]}


def series(name="ode", days=DAYS, noise=0.0, rt=RT, seed=0) -> SizeSeries:
    areas = GROWTH_MODELS[name].area(np.asarray(days, float), TRUTH, rt)
    areas = areas * np.exp(noise * np.random.default_rng(seed).normal(size=areas.size))
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries("p1/z070", "p1", visits, rt)


def linear_interval(timeline, sigma, level):
    """Least squares of a straight line through sizes with constant noise, in closed form."""
    t = timeline.days
    design = np.stack([np.ones_like(t), t], axis=1)
    beta = np.linalg.lstsq(design, timeline.sizes)[0]
    covariance = np.linalg.inv(design.T @ design) * sigma**2
    return beta, covariance, np.sqrt(chi2.ppf(level, 1))


# A(t) = first * (1 + r t) with first and first * r both free: linear in (first, first * r).
STRAIGHT = GrowthModel(
    "straight",
    (dataclasses.replace(INITIAL_AREA, low=0.2, high=5.0),
     Parameter("gain", "first area/day", -1.0, 1.0, 0.005, width=0.02)),
    lambda days, p, courses: 1 + p["gain"] * days / p["initial_area"],
)  # fmt: skip


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_interval_of_a_linear_law_is_that_of_least_squares(level):
    timeline = series("linear", noise=0.05, rt=())
    spec = GrowthSpec(noise_model="additive", noise=0.1)
    first = timeline.sizes[0]
    beta, covariance, factor = linear_interval(timeline, 0.1 * first, level)
    found = profile(timeline, STRAIGHT, "gain", spec=spec, level=level)
    half = factor * np.sqrt(covariance[1, 1])
    assert found.best * first == pytest.approx(beta[1], rel=1e-3)
    assert found.interval == pytest.approx(((beta[1] - half) / first, (beta[1] + half) / first),
                                           rel=5e-3)  # fmt: skip


def test_profile_of_a_linear_law_is_a_parabola():
    timeline = series("linear", noise=0.05, rt=())
    spec = GrowthSpec(noise_model="additive", noise=0.1)
    first = timeline.sizes[0]
    beta, covariance, _ = linear_interval(timeline, 0.1 * first, 0.95)
    found = profile(timeline, STRAIGHT, "gain", spec=spec)
    expected = (found.values * first - beta[1]) ** 2 / covariance[1, 1]
    near = expected < 12
    assert near.sum() > 10
    assert found.rise[near] == pytest.approx(expected[near], abs=0.02)


def test_first_area_is_in_the_unit_of_the_sizes():
    timeline = series("linear", noise=0.05, rt=())
    found = profile(timeline, "linear", "initial_area", spec=GrowthSpec(bounds=OPEN_FIRST))
    low, high = found.interval
    assert low < found.best < high
    assert found.best == pytest.approx(900, rel=0.2)


def test_interval_covers_the_truth_as_often_as_it_says():
    spec = GrowthSpec(noise=0.1, bounds=OPEN_FIRST)
    hits = 0
    for seed in range(120):
        timeline = series("exponential", days=DAYS[:6], noise=0.1, rt=(), seed=seed)
        low, high = profile(timeline, "exponential", "growth_rate", spec=spec, level=0.9,
                            points=9).interval  # fmt: skip
        hits += low < TRUTH["growth_rate"] < high
    assert hits / 120 == pytest.approx(0.9, abs=0.08)


def test_without_a_given_noise_the_residuals_tell_it():
    timeline = series("exponential", noise=0.02, rt=())
    told = profile(timeline, "exponential", "growth_rate", spec=GrowthSpec(noise=0.0))
    wide = profile(timeline, "exponential", "growth_rate", spec=GrowthSpec(noise=0.2))
    widths = [p.interval[1] - p.interval[0] for p in (told, wide)]
    assert widths[0] < 0.3 * widths[1]


def test_no_noise_and_no_residual_is_refused():
    with pytest.raises(ValueError, match=r"p1/z070: growth.noise=0 and 4 visit.*Give growth.noise"):
        profile(series(days=DAYS[:4]), "ode", "delay", spec=GrowthSpec(noise=0.0))


def test_many_precise_visits_identify_the_law():
    days = np.arange(0.0, 300, 8)
    found = identifiability(series(days=days, noise=0.01), "ode", GrowthSpec(noise=0.01))
    assert found.identified
    assert found.rank == 6
    for name, one in found.profiles.items():
        low, high = one.interval if one.verdict == "identified" else (0.0, np.inf)
        assert low < TRUTH[name] < high


def test_before_radiotherapy_its_parameters_are_structurally_flat():
    found = identifiability(series(days=[0, 10, 20, 30]), "ode")
    flat = {n for n, p in found.profiles.items() if p.verdict == "flat" and p.structural}
    assert flat >= {"survival_fraction", "decay_rate", "delay", "slope"}
    assert found.profiles["growth_rate"].verdict == "identified"
    assert found.rank == 2


def test_a_switch_between_two_visits_is_open_above():
    """How sharply the dying part turns cannot be told from above: no visit falls into the turn."""
    days = np.arange(0, 200, 15)
    sharp = TRUTH | {"slope": 5.0, "delay": 32.0}
    areas = GROWTH_MODELS["ode"].area(days.astype(float), sharp, RT)
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    found = profile(SizeSeries("p1/z070", "p1", visits, RT), "ode", "slope",
                    spec=GrowthSpec(noise=0.02))  # fmt: skip
    assert found.verdict == "open above"
    assert not found.structural


def test_parameters_that_only_count_as_a_product_trade_off():
    law = GrowthModel(
        "product",
        (INITIAL_AREA, Parameter("gain", "1/day", 1e-4, 1.0, 0.01, "log"),
         Parameter("share", "1", 1e-3, 1.0, 0.3, "log")),
        lambda days, p, courses: np.exp(p["gain"] * p["share"] * days),
    )  # fmt: skip
    found = identifiability(series("exponential", noise=0.02, rt=()), law)
    assert found.rank == 2
    assert found.sloppy[-1] in ("gain and share trade off", "share and gain trade off")
    assert found.profiles["gain"].verdict != "identified"
    assert found.profiles["share"].verdict != "identified"


def test_directions_are_those_of_the_jacobian():
    found = identifiability(series(noise=0.02), "ode")
    assert found.directions @ found.directions.T == pytest.approx(np.eye(6), abs=1e-9)
    assert (np.diff(found.singular_values) <= 0).all()


def test_fixed_parameter_is_not_profiled():
    found = identifiability(series(noise=0.02), "ode", GrowthSpec(fixed={"slope": 0.15}))
    assert "slope" not in found.profiles
    assert found.names == ("initial_area", "growth_rate", "survival_fraction", "decay_rate",
                           "delay")  # fmt: skip


def test_report_names_slice_verdicts_and_a_remedy():
    text = identifiability(series(days=[0, 30, 60, 90], noise=0.02), "ode").text()
    assert "timeline p1/z070: growth model ode, 4 visit(s) for 6 parameter(s)" in text
    assert "identified" in text
    assert "flat" in text
    assert "remedy: use a simpler growth.law" in text
    assert "growth.population" in text


def test_identified_law_needs_no_remedy():
    assert "remedy" not in identifiability(series("exponential", rt=()), "exponential").text()


def test_profile_says_how_the_best_fit_lies_in_it():
    found = profile(series("gompertz", noise=0.05, rt=()), "gompertz", "slowing_rate")
    assert found.rise.min() == 0.0
    assert found.values[np.argmin(found.rise)] == pytest.approx(found.best)
    assert (np.diff(found.values) > 0).all()


def test_log_residuals_give_nearly_the_same_interval():
    timeline = series("exponential", noise=0.05, rt=())
    ends = [
        profile(timeline, "exponential", "growth_rate",
                spec=GrowthSpec(residuals=r, bounds=OPEN_FIRST)).interval
        for r in ("area", "log")
    ]  # fmt: skip
    assert ends[0] == pytest.approx(ends[1], rel=0.1)


def test_parameter_of_another_law_is_refused():
    with pytest.raises(ValueError, match="parameter='capacity'.*growth_rate"):
        profile(series(), "ode", "capacity")


@pytest.mark.parametrize(
    ("law", "change"), [("carry_forward", {}), ("ode", {"tied": {"delay": "30"}})]
)
def test_what_has_no_profile_is_refused(law, change):
    spec = GrowthSpec(engine="lmfit", **change)
    with pytest.raises(ValueError, match="profiles need a growth model that is fitted, without"):
        profile(series(), law, "initial_area", spec=spec)


def test_degenerate_series_is_refused_by_name():
    with pytest.raises(DegenerateSeriesError, match="p1/z070: 1 visit"):
        identifiability(series(days=[0]), "ode")

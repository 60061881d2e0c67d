"""What a simulated cohort says of its law."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mechlearn.growth.ensemble_fit import fit_ensemble, size_floor
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.population_prior import (
    PopulationPrior,
    fit_population_prior,
    population_model,
)
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

N, RATE, SPREAD, SIGMA = 150, 0.006, 0.003, 0.1


def cohort(n, *, seed=0, scale=1.0) -> list[SizeSeries]:
    """Exponential series of five visits with known rates and measurement noise."""
    rng = np.random.default_rng(seed)
    days = np.array([0.0, 40, 90, 130, 200])
    out = []
    for i in range(n):
        rate = RATE + SPREAD * rng.normal()
        logs = np.log(scale * 500) + rate * days + SIGMA * rng.normal(size=5)
        visits = tuple(map(SizeReading, days.tolist(), np.exp(logs).tolist()))
        out.append(SizeSeries(f"p{i}/z1", f"p{i}", visits))
    return out


@pytest.fixture(scope="module")
def exponential() -> PopulationPrior:
    return fit_population_prior(cohort(N), "exponential", floor=1.0)


def test_mean_rate_of_the_cohort_is_recovered(exponential):
    assert exponential.mean[1] == pytest.approx(RATE, abs=3 * SPREAD / np.sqrt(N))


def test_spread_of_the_rates_is_recovered(exponential):
    assert np.sqrt(exponential.covariance[1, 1]) == pytest.approx(SPREAD, rel=0.2)


def test_population_does_not_depend_on_the_unit_of_size(exponential):
    other = fit_population_prior(cohort(N, scale=100.0), "exponential", floor=100.0)
    assert other.mean == pytest.approx(exponential.mean, rel=1e-3, abs=1e-5)
    assert other.covariance == pytest.approx(exponential.covariance, rel=1e-2, abs=1e-7)


def test_typical_values_are_in_natural_units(exponential):
    middle, low, high = exponential.typical()["initial_area"]
    assert low < 1 < high
    assert middle == pytest.approx(np.exp(exponential.mean[0]))


def test_radiotherapy_parameters_of_a_cohort_are_recovered():
    law, rng, series = GROWTH_MODELS["ode"], np.random.default_rng(3), []
    days, courses = np.arange(0.0, 260, 25), (Radiotherapy(30.0),)
    for i in range(40):
        p = {"initial_area": 600.0, "growth_rate": 0.01 * np.exp(0.3 * rng.normal()),
             "survival_fraction": 0.1 * np.exp(0.3 * rng.normal()), "decay_rate": 0.05,
             "delay": 20.0, "slope": 0.1}  # fmt: skip
        areas = law.area(days, p, courses) * np.exp(0.05 * rng.normal(size=days.size))
        visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
        series.append(SizeSeries(f"p{i}/z1", f"p{i}", visits, courses))
    typical = fit_population_prior(series, "ode", floor=1.0).typical()
    assert typical["growth_rate"][0] == pytest.approx(0.01, rel=0.2)
    assert typical["survival_fraction"][0] == pytest.approx(0.1, rel=0.25)
    assert typical["decay_rate"][0] == pytest.approx(0.05, rel=0.35)


def test_pull_is_a_root_of_the_precision(exponential):
    precision = exponential.pull.T @ exponential.pull
    assert precision @ exponential.covariance == pytest.approx(np.eye(2), abs=1e-8)


def test_population_knows_the_first_area_on_a_log_scale():
    first = population_model("ode").parameters[0]
    assert (first.name, first.scale) == ("initial_area", "log")


def test_bounds_of_the_paper_do_not_cut_a_population():
    survival = {p.name: p for p in population_model("ode").parameters}["survival_fraction"]
    assert survival.high > 0.9


def test_one_slice_is_no_cohort():
    with pytest.raises(ValueError, match=r"population of ode: 1 slice.*population=null"):
        fit_population_prior(cohort(1), "ode", floor=1.0)


def test_floor_of_a_cohort_is_among_its_smallest_sizes():
    timelines = cohort(12)
    sizes = np.concatenate([t.sizes for t in timelines])
    smallest = [pytest.approx(np.percentile(sizes, percent)) for percent in (1, 5, 10, 25)]
    assert size_floor(timelines) in smallest


def test_cohort_without_a_tumour_is_refused():
    visits = (SizeReading(0.0, 0.0), SizeReading(30.0, 0.0))
    with pytest.raises(ValueError, match="no size of the cohort is above zero"):
        size_floor([SizeSeries("p1/z1", "p1", visits)])


def test_floor_of_a_few_patients_with_very_many_slices_is_found():
    many = [
        dataclasses.replace(t, name=f"{t.name}-{k}")
        for t in cohort(3) for k in range(200)
    ]  # fmt: skip
    assert size_floor(many) > 0


def test_visits_before_the_first_tumour_teach_a_population_nothing():
    known = cohort(12)
    early = [dataclasses.replace(t, visits=(SizeReading(-50.0, 0.0), *t.visits)) for t in known]
    plain, led = (fit_ensemble(c, ["exponential"], floor=5.0) for c in (known, early))
    assert led.members[0].population.discrepancy == plain.members[0].population.discrepancy

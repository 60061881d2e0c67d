"""Learned size forecasts: exactness, calibration, files, and series that go wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mechlearn.growth.cohort_ratio import cohort_floor
from mechlearn.growth.learned_forecast import (
    forecast_size,
    load_size_prior,
    slice_to_volume,
    volume_to_slice,
)
from mechlearn.growth.quantiles import LEVELS
from mechlearn.growth.size_prior import SizePrior
from mechlearn.growth.size_prior_fit import LearnedSpec, fit_size_prior
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries, Treatment


def series(*readings, name="P01", unit="mm3", **more):
    return SizeSeries(name, name, tuple(SizeReading(float(d), float(v)) for d, v in readings),
                      unit=unit, **more)  # fmt: skip


def cohort(n, seed=0):
    """Small tumours grow and large ones shrink, with noise."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        days = np.concatenate([[0.0], np.cumsum(rng.uniform(30, 120, rng.integers(1, 5)))])
        logs = [rng.normal(9, 1.2)]
        for _ in days[1:]:
            logs.append(logs[-1] + 0.5 * (9.5 - logs[-1]) + 0.3 * rng.normal())
        found.append(series(*zip(days, np.exp(logs), strict=True), name=f"C{i:03d}"))
    return found


@pytest.fixture(scope="module")
def prior():
    return fit_size_prior(cohort(80), about={"cohort": "simulated"})


TWO = series((0, 21000), (60, 24000))


def test_the_name_and_the_order_of_the_cohort_change_nothing(prior):
    renamed = replace(TWO, name="another", patient="another")
    assert np.array_equal(prior.forecast(TWO, 120).samples, prior.forecast(renamed, 120).samples)


def test_quantiles_are_ascending_and_the_curves_end_in_them(prior):
    made = prior.forecast(TWO, 120)
    assert (np.diff(made.samples) >= 0).all()
    assert np.array_equal(made.curves[:, -1], made.samples)
    assert made.curve_days[0] == 0
    assert made.curve_days[-1] == 120


def test_what_the_cohort_does_is_learned(prior):
    small, large = series((0, 2000)), series((0, 90000))
    assert prior.forecast(small, 90).median > 2000
    assert prior.forecast(large, 90).median < 90000


def test_intervals_cover_patients_that_were_not_seen(prior):
    covered = []
    for one in cohort(150, seed=1):
        low, high = prior.forecast(one, one.visits[-1].day).interval(0.9)
        covered.append(low <= one.visits[-1].size <= high)
    assert 0.82 < np.mean(covered) < 0.97


def test_the_cohort_ratio_is_the_definition(prior):
    """Last size times the weighted empirical ratios, each patient of weight one."""
    known = cohort(80)
    floor = cohort_floor(np.concatenate([s.sizes for s in known]))
    changes = [np.diff(np.log(s.sizes + floor)) for s in known]
    weights = np.concatenate([np.full(z.size, 1 / z.size) for z in changes])
    z = np.concatenate(changes)
    order = np.argsort(z)
    median = z[order][np.searchsorted(np.cumsum(weights[order]) / weights.sum(), 0.5)]
    made = prior.baseline("cohort_ratio").forecast(TWO, 120)
    assert made.median == pytest.approx((24000 + floor) * np.exp(median) - floor, rel=0.02)


def test_carry_forward_has_the_last_size_as_its_median(prior):
    made = prior.baseline("carry_forward").forecast(TWO, 120)
    assert made.median == pytest.approx(24000, rel=1e-6)


def test_a_prior_comes_back_from_its_file(prior, tmp_path):
    again = SizePrior.load(prior.save(tmp_path / "prior.json"))
    ours, theirs = prior.forecast(TWO, 200), again.forecast(TWO, 200)
    np.testing.assert_allclose(theirs.samples, ours.samples, rtol=0.03, atol=30)
    assert again.describe() == "simulated, 80 patients"


def test_a_file_holds_no_reading_and_no_name_of_the_cohort(prior, tmp_path):
    text = prior.save(tmp_path / "prior.json").read_text()
    known = cohort(80)
    assert not any(s.patient in text for s in known)
    numbers = set()

    def collect(value):
        if isinstance(value, dict):
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif isinstance(value, float):
            numbers.add(value)

    collect(json.loads(text))
    sizes = {float(f"{v:.5g}") for s in known for v in s.sizes}
    assert not numbers & sizes


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"other\.json: format=None: is missing.*Make one"):
        load_size_prior(path)


def test_too_few_patients_are_refused():
    with pytest.raises(ValueError, match=r"4 patient\(s\) with visits on two days"):
        fit_size_prior(cohort(4))


def test_without_a_stack_the_residual_model_stands_alone():
    assert fit_size_prior(cohort(20), LearnedSpec(stack=False)).weight == 1.0


@pytest.mark.parametrize("compartment", ["whole", "flair", "enhancing"])
def test_the_packaged_prior_says_which_patients_stand_behind_it(compartment):
    made = forecast_size(replace(TWO, compartment=compartment), 120)
    kind = "enhancing" if compartment == "enhancing" else "flair"
    assert f"MU-Glioma-Post, {kind}" in made.population
    assert "patients" in made.population


def test_an_area_is_forecast_as_the_section_of_a_sphere():
    area = series((0, 900), (60, 1000), unit="mm2")
    volume = series(*((v.day, slice_to_volume(np.array(v.size))) for v in area.visits))
    flat, deep = forecast_size(area, 120), forecast_size(volume, 120)
    assert flat.unit == "mm2"
    np.testing.assert_allclose(flat.samples, volume_to_slice(deep.samples))
    assert slice_to_volume(np.array(np.pi * 100.0)) == pytest.approx(4 / 3 * np.pi * 1000)


# --- series that go wrong ---


def test_a_tumour_that_was_never_seen_may_stay_away_or_come():
    made = forecast_size(series((0, 0), (60, 0)), 120)
    assert made.survival(0.0) == 1
    assert 0 < made.survival(1.0) < 1
    assert np.isfinite(made.samples).all()


def test_a_tumour_that_vanishes_and_returns_is_forecast():
    made = forecast_size(series((0, 8000), (50, 0), (100, 5000), (150, 0)), 200)
    low, high = made.interval()
    assert low == 0 < high
    assert np.isfinite(made.median)


def test_a_reading_written_twice_counts_once():
    twice = series((0, 21000), (60, 24000), (60, 24000))
    assert np.array_equal(forecast_size(twice, 120).samples, forecast_size(TWO, 120).samples)


def test_one_visit_is_enough():
    assert forecast_size(series((0, 20000)), 90).median > 0


def test_radiotherapy_before_the_first_visit_is_known():
    treated = replace(TWO, courses=(Radiotherapy(-90, -48, 60, 30),))
    assert forecast_size(treated, 120).median > 0


def test_three_hundred_visits_are_forecast():
    many = series(*((7.0 * k, 20000 + 10 * k) for k in range(300)))
    low, high = forecast_size(many, 2200).interval()
    assert low < 23000 < high


def test_a_size_above_a_brain_is_refused_by_name():
    with pytest.raises(ValueError, match=r"series P01: visit on day 60: size=3e\+06 mm3"):
        forecast_size(series((0, 2e4), (60, 3e6)), 120)


def test_a_dose_in_cgy_is_refused_by_name():
    treated = replace(TWO, courses=(Radiotherapy(-90, -48, 6000, 30),))
    with pytest.raises(ValueError, match=r"dose_gy=6000 .* Divide by 100"):
        forecast_size(treated, 120)


def test_days_written_as_dates_are_refused_by_name():
    dated = series((20210105, 2e4), (20210309, 3e4))
    with pytest.raises(ValueError, match=r"day=20210105 is more than a hundred years"):
        forecast_size(dated, 20210601)


def test_a_day_without_an_earlier_visit_is_refused():
    with pytest.raises(ValueError, match="no visit before day 0"):
        forecast_size(TWO, 0)


def test_treatments_and_covariates_in_words_are_understood():
    told = replace(TWO, covariates={"age": "67", "idh": "wildtype", "mgmt": "", "grade": "4"},
                   treatments=(Treatment("surgery", -40), Treatment("chemotherapy", -30, 200)))
    assert not np.array_equal(forecast_size(told, 120).samples, forecast_size(TWO, 120).samples)


def test_levels_are_equally_likely():
    np.testing.assert_allclose(np.diff(LEVELS), 1 / LEVELS.size)


def test_a_zero_that_stays_in_the_cohort_stays_in_the_forecast():
    gone = [series((0, 0.0), (60, 0.0), name=f"Z{i}") for i in range(20)]
    prior = fit_size_prior([*cohort(40), *gone])
    made = prior.forecast(series((0, 900.0), (60, 0.0)), 120)
    assert prior.zero_stays == pytest.approx((4 * 0.3 + 20) / 24)
    assert (made.samples == 0).mean() >= prior.zero_stays - 0.01
    assert made.median == 0


@pytest.mark.parametrize("known", [{"idh": "mutant"}, {"grade": "2"}])
def test_a_slow_kind_of_tumour_stays_nearer_to_no_change(known):
    last = TWO.sizes[-1]
    plain, slow = forecast_size(TWO, 120), forecast_size(replace(TWO, covariates=known), 120)
    assert abs(slow.median - last) < abs(plain.median - last)


def test_nearness_is_that_of_the_compartment_or_the_given_one(prior):
    enhancing = [replace(s, compartment="enhancing") for s in cohort(10)]
    assert prior.nearest == 0.05
    assert fit_size_prior(enhancing).nearest == 0.2
    assert fit_size_prior(cohort(10), LearnedSpec(nearest=0.3)).nearest == 0.3


def test_a_file_of_before_zeros_were_counted_still_loads(prior):
    held = prior.plain()
    del held["zero_stays"]
    assert SizePrior.of(held, source="old.json").zero_stays == 0.3

"""Scores of forecast areas."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
from scipy import stats

from mechlearn.metrics.size_scores import (
    coverage,
    crps,
    interval_covers,
    interval_width,
    nrmse,
    r_squared,
)

OBSERVED = np.array([1.0, 2.0, 4.0, 8.0])


def test_r_squared_of_the_truth_is_one():
    assert r_squared(OBSERVED, OBSERVED) == 1.0


def test_r_squared_of_the_mean_is_zero():
    assert r_squared(np.full(4, OBSERVED.mean()), OBSERVED) == pytest.approx(0.0)


def test_r_squared_can_be_negative():
    assert r_squared(OBSERVED[::-1], OBSERVED) < 0


@pytest.mark.parametrize("observed", [[3.0, 3.0, 3.0], [3.0]])
def test_r_squared_needs_variance(observed):
    assert r_squared(observed, observed) is None


def test_nrmse_is_relative_to_the_truth():
    assert nrmse(150.0, 100.0) == pytest.approx(0.5)
    assert nrmse(50.0, 100.0) == pytest.approx(0.5)


def test_nrmse_of_a_vanished_tumour_is_undefined():
    assert nrmse(10.0, 0.0) is None


def test_crps_is_the_energy_form():
    samples = np.random.default_rng(0).normal(5, 2, 40)
    spread = np.abs(samples[:, None] - samples[None]).mean()
    assert crps(samples, 6.5) == pytest.approx(np.abs(samples - 6.5).mean() - spread / 2)


def test_crps_is_that_of_scoringrules():
    samples = np.random.default_rng(3).lognormal(3, 1, 57)
    oracle = scoringrules.crps_ensemble(18.0, samples, estimator="nrg")
    assert crps(samples, 18.0) == pytest.approx(float(oracle))


def test_crps_of_a_normal_forecast():
    samples = stats.norm.ppf((np.arange(4000) + 0.5) / 4000, loc=3, scale=2)
    z = (4.0 - 3) / 2
    closed = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps(samples, 4.0) == pytest.approx(closed, rel=1e-3)


def test_crps_of_one_sample_is_its_error():
    assert crps([3.0], 5.0) == pytest.approx(2.0)


def test_crps_needs_samples():
    with pytest.raises(ValueError, match=r"samples have shape \(0,\)"):
        crps([], 5.0)


@pytest.mark.parametrize(("truth", "inside"), [(1.0, True), (2.0, True), (2.1, False)])
def test_interval_includes_its_ends(truth, inside):
    assert interval_covers((1.0, 2.0), truth) is inside


def test_relative_width():
    assert interval_width((1.0, 4.0)) == 3.0
    assert interval_width((1.0, 4.0), relative_to=6.0) == 0.5


def test_crossed_interval_is_refused():
    with pytest.raises(ValueError, match="low must not be above high"):
        interval_width((4.0, 1.0))


def test_coverage_is_a_share_and_undefined_for_none():
    assert coverage([True, False, True, True]) == 0.75
    assert coverage([]) is None

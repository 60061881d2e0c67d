"""The Gompertz diffusion against the multivariate normal distribution that defines it."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.gompertz_diffusion import GompertzDiffusion

MODEL = GompertzDiffusion(10.0, 0.3, 0.9, 1 / 200, 0.2)


def covariance(days):
    gaps = np.abs(days[:, None] - days)
    return 0.3**2 + 0.9**2 * np.exp(-gaps / 200) + 0.2**2 * np.eye(days.size)


def test_prediction_is_the_conditional_normal_distribution():
    days, logs = np.array([0.0, 40.0, 130.0, 300.0]), np.array([9.0, 9.5, 8.7])
    whole = covariance(days)
    gain = whole[3, :3] @ np.linalg.inv(whole[:3, :3])
    middle, width = MODEL.predict(days[:3], logs, 300.0)
    assert middle == pytest.approx(10 + gain @ (logs - 10), abs=1e-4)
    assert width == pytest.approx(np.sqrt(whole[3, 3] - gain @ whole[:3, 3]), abs=1e-4)


def test_a_small_tumour_grows_towards_the_capacity_and_the_error_widens():
    ahead = [MODEL.predict(np.array([0.0]), np.array([7.0]), day) for day in (10.0, 100.0, 1000.0)]
    middles, widths = zip(*ahead, strict=True)
    assert 7.0 < middles[0] < middles[1] < middles[2] < 10.0
    assert widths[0] < widths[1] < widths[2]


def test_parameters_of_a_simulated_cohort_come_back():
    rng = np.random.default_rng(0)
    days = np.arange(0.0, 600.0, 60.0)
    factor = np.linalg.cholesky(covariance(days))
    cohort = [(days, 10 + factor @ rng.normal(size=days.size)) for _ in range(150)]
    found = GompertzDiffusion.fit(cohort)
    assert found.log_capacity == pytest.approx(10.0, abs=0.2)
    assert found.wandering == pytest.approx(0.9, rel=0.2)
    assert found.noise == pytest.approx(0.2, rel=0.4)

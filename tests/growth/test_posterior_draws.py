"""Draws under a population: exact where the law is linear, finite where a series is poor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from mechlearn.growth.measurement_noise import Discrepancy
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.population_prior import PopulationPrior, population_model
from mechlearn.growth.posterior_draws import drawn
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

SIGMA, TAU, FLOOR = 0.12, 0.03, 1e-9
MEAN = np.array([0.03, 0.004])
COVARIANCE = np.array([[0.02, 0.0002], [0.0002, 1.6e-5]])
EXPONENTIAL = PopulationPrior(
    population_model("exponential"), MEAN, COVARIANCE, Discrepancy(SIGMA, TAU), FLOOR
)


def population(name, floor=1.0) -> PopulationPrior:
    """Some population of a law: its own starts and a half of its widths."""
    law = population_model(GROWTH_MODELS[name])
    log = [np.log(p.start) if p.scale == "log" else p.start for p in law.parameters]
    widths = np.array([0.5 * p.width for p in law.parameters])
    return PopulationPrior(law, np.array(log), np.diag(widths**2), Discrepancy(0.1, 0.02), floor)


def timeline(areas, days=None, name="p1/z070", starts=(35.0,)) -> SizeSeries:
    days = 30.0 * np.arange(len(areas)) if days is None else days
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries(name, name[:2], visits, tuple(Radiotherapy(s) for s in starts))


SERIES = timeline([400.0, 470.0, 700.0, 640.0], [3.0, 33.0, 80.0, 101.0])


def kernel(a, b):
    """Covariance of log(size / first size) on days a with that on days b, without noise."""
    base = np.stack([np.ones_like(a), a], axis=1) @ COVARIANCE @ np.stack([np.ones_like(b), b])
    return base + TAU**2 * np.minimum(a[:, None], b)


def regression(series: SizeSeries, later: np.ndarray):
    """Gaussian-process regression of the log sizes: mean (T,), covariance (T, T)."""
    t = series.days - series.days[0]
    y = np.log(series.sizes / series.sizes[0])
    seen = kernel(t, t) + SIGMA**2 * np.eye(t.size)
    gain = np.linalg.solve(seen, kernel(t, later)).T
    mean = MEAN[0] + MEAN[1] * later + gain @ (y - MEAN[0] - MEAN[1] * t)
    return mean + np.log(series.sizes[0]), kernel(later, later) - gain @ kernel(t, later)


LATER = np.array([0.0, 15.0, 60.0, 98.0, 130.0, 220.0])


@pytest.fixture(scope="module")
def many():
    return drawn(EXPONENTIAL, [SERIES], LATER[None] + 3.0, n=8000)


def test_mean_of_the_draws_is_that_of_the_regression(many):
    mean, covariance = regression(SERIES, LATER)
    error = (np.log(many.curves[0]).mean(axis=0) - mean) / np.sqrt(np.diag(covariance) / 8000)
    assert np.abs(error).max() < 4


def test_covariance_of_the_draws_is_that_of_the_regression(many):
    _, covariance = regression(SERIES, LATER)
    found = np.cov(np.log(many.curves[0]).T)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (found / scale) == pytest.approx(covariance / scale, abs=0.06)


def test_samples_are_the_last_of_the_curves_with_measurement_noise(many):
    mean, covariance = regression(SERIES, LATER)
    logs = np.log(many.samples[0])
    assert logs.mean() == pytest.approx(mean[-1], abs=4 * np.sqrt(covariance[-1, -1] / 8000))
    assert logs.var() == pytest.approx(covariance[-1, -1] + SIGMA**2, rel=0.06)


def test_parameters_have_their_gaussian_posterior(many):
    t = SERIES.days - SERIES.days[0]
    y = np.log(SERIES.sizes / SERIES.sizes[0])
    design = np.stack([np.ones_like(t), t], axis=1)
    scatter = TAU**2 * np.minimum(t[:, None], t) + SIGMA**2 * np.eye(t.size)
    weighted = design.T @ np.linalg.inv(scatter)
    covariance = np.linalg.inv(np.linalg.inv(COVARIANCE) + weighted @ design)
    mean = covariance @ (np.linalg.solve(COVARIANCE, MEAN) + weighted @ y)
    spread = np.sqrt(np.diag(covariance))
    assert (many.x[0].mean(axis=0) - mean) / spread == pytest.approx([0, 0], abs=0.05)
    assert many.x[0].std(axis=0) / spread == pytest.approx([1, 1], abs=0.05)


def test_before_any_second_visit_the_prior_speaks():
    one = timeline([400.0], [3.0])
    found = drawn(EXPONENTIAL, [one], np.array([[3.0, 203.0]]), n=6000).curves[0, :, -1]
    mean, covariance = regression(one, np.array([200.0]))
    assert np.log(found).mean() == pytest.approx(mean[0], abs=4 * np.sqrt(covariance[0, 0] / 6000))
    assert np.log(found).var() == pytest.approx(covariance[0, 0], rel=0.08)


def test_large_model_error_starts_the_forecast_at_the_last_visit():
    loose = PopulationPrior(EXPONENTIAL.law, MEAN, COVARIANCE, Discrepancy(0.01, 0.3), FLOOR)
    series = timeline([100.0, 100.0, 900.0])
    found = drawn(loose, [series], np.array([[0.0, 60.0]]), n=500).curves[0, :, -1]
    assert np.median(found) == pytest.approx(900, rel=0.02)


def test_samples_are_quantiles_of_the_predictive_distribution():
    found = np.sort(np.log(drawn(EXPONENTIAL, [SERIES], LATER[None] + 3.0, n=512).samples[0]))
    mean, covariance = regression(SERIES, LATER)
    wide = np.sqrt(covariance[-1, -1] + SIGMA**2)
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    assert np.quantile(found, levels) == pytest.approx(mean[-1] + wide * ndtri(levels), abs=0.03)


def test_one_visit_is_forecast_more_widely_than_four():
    areas, days = (400.0, 500.0, 640.0, 800.0), np.array([[0.0, 180.0]])
    one, four = (
        np.log(drawn(EXPONENTIAL, [timeline(areas[:n])], days, n=512).samples[0]).std()
        for n in (1, 4)
    )
    known = [regression(timeline(areas[:n]), days[0])[1][-1, -1] + SIGMA**2 for n in (1, 4)]
    assert one / four == pytest.approx(np.sqrt(known[0] / known[1]), rel=0.02)
    assert one > 1.5 * four


def test_draws_do_not_depend_on_the_other_series():
    member = population("ode")
    several = [
        timeline([400.0, 500.0, 640.0], name="p1/z1"),
        timeline([900.0, 700.0, 300.0, 350.0, 500.0, 700.0], name="p2/z1"),
        timeline([50.0], name="p3/z1", starts=(-20.0, 60.0)),
    ]
    days = np.array([[0.0, 200.0], [0.0, 300.0], [0.0, 90.0]])
    together = drawn(member, several, days, n=20)
    for i, series in enumerate(several):
        alone = drawn(member, [series], days[[i]], n=20)
        assert alone.samples[0] == pytest.approx(together.samples[i], rel=1e-6)
        assert alone.curves[0] == pytest.approx(together.curves[i], rel=1e-6)


@pytest.mark.parametrize("name", ["ode", "gompertz_rt", "exponential", "carry_forward"])
@pytest.mark.parametrize(
    ("areas", "days"),
    [
        ([400.0], [0]), ([0.0], [0]), ([0.0, 0.0, 0.0], [0, 30, 60]),
        ([0.0, 400.0, 600.0], [0, 30, 60]), ([400.0, 0.0, 0.0], [0, 30, 60]),
        ([1e-6, 1e-6, 5e4], [0, 30, 60]), ([400.0, 410.0], [5, 5]),
    ],
)  # fmt: skip
def test_poor_series_have_finite_draws(name, areas, days):
    series = timeline(areas, days)
    found = drawn(population(name), [series], np.array([[days[0], days[-1] + 90.0]]), n=30)
    assert np.isfinite(found.samples).all()
    assert np.isfinite(found.curves).all()
    assert (found.samples >= 0).all()
    assert found.converged.mean() > 0.9


def test_all_zero_series_stays_small_against_the_floor():
    found = drawn(population("ode"), [timeline([0.0, 0.0, 0.0])], np.array([[0.0, 90.0]]), n=50)
    assert np.median(found.samples) < 1.0


def test_paths_of_the_model_error_have_the_covariance_of_brownian_motion():
    days = np.array([40.0, 0.0, 10.0, 10.0, 90.0])
    paths = Discrepancy(0.1, 0.2).paths(days, np.random.default_rng(0).normal(size=(40000, 5)))
    expected = 0.04 * np.minimum(days[:, None], days)
    assert paths.T @ paths / 40000 == pytest.approx(expected, abs=0.06)
    assert np.array_equal(paths[:, 2], paths[:, 3])


def test_visits_that_are_not_there_have_no_covariance_with_others():
    days, seen = np.array([[0.0, 30.0, 60.0]]), np.array([[True, True, False]])
    found = Discrepancy(0.1, 0.2).covariance(days, seen)[0]
    assert found == pytest.approx(
        np.array([[0.01, 0, 0], [0, 0.01 + 0.04 * 30, 0], [0, 0, 1.0]])
    )


@pytest.mark.parametrize(("sigma", "tau"), [(0.0, 0.1), (0.1, -1.0), (float("nan"), 0.1)])
def test_noise_without_a_spread_is_refused(sigma, tau):
    with pytest.raises(ValueError, match=r"population\.(sigma|tau)="):
        Discrepancy(sigma, tau)

"""Bootstrap and forecast: noise, reproducibility, setups, fallbacks."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from mechlearn.growth.bootstrap import bootstrap, perturb
from mechlearn.growth.fit import fit_problem, point_fit
from mechlearn.growth.fit_problems import FitProblem
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.size_forecast import forecast
from mechlearn.growth.solvers import ENGINES, Fits, solve_batched
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries


def timeline(areas=(400.0, 520, 610, 830, 990), *, step=30.0, rt=(), name="p1/z070") -> SizeSeries:
    visits = tuple(SizeReading(step * i, float(a)) for i, a in enumerate(areas))
    return SizeSeries(name, "p1", visits, rt)


FAST = GrowthSpec(law="exponential", n_bootstrap=20)


@pytest.mark.parametrize("model", ["multiplicative", "additive"])
def test_noise_is_symmetric_and_has_its_spread(model):
    spec = GrowthSpec(noise_model=model, n_bootstrap=20000)
    noisy = perturb(np.array([1.0, 3.0]), spec, np.random.default_rng(0))
    spread = [0.1, 0.3] if model == "multiplicative" else [0.1, 0.1]
    assert noisy.mean(axis=0) == pytest.approx([1.0, 3.0], abs=0.01)
    assert noisy.std(axis=0) == pytest.approx(spread, rel=0.03)
    assert (noisy[:, 0] > 1).mean() == pytest.approx(0.5, abs=0.02)  # never clipped at 1


def test_forecast_is_reproducible():
    first, again = forecast(timeline(), 200, spec=FAST), forecast(timeline(), 200, spec=FAST)
    assert np.array_equal(first.samples, again.samples)


def test_another_seed_gives_other_samples():
    other = dataclasses.replace(FAST, seed=1)
    a, b = forecast(timeline(), 200, spec=FAST), forecast(timeline(), 200, spec=other)
    assert not np.array_equal(a.samples, b.samples)


def test_two_slices_do_not_share_their_noise():
    a = forecast(timeline(), 200, spec=FAST)
    b = forecast(timeline(name="p1/z080"), 200, spec=FAST)
    assert not np.array_equal(a.samples, b.samples)


def test_samples_are_the_end_of_the_curves():
    result = forecast(timeline(), 200, spec=FAST)
    assert result.curve_days[[0, -1]].tolist() == [0.0, 200.0]
    assert np.array_equal(result.samples, result.curves[:, -1])


def test_curves_are_the_law_of_the_samples_parameters():
    result = forecast(timeline(), 200, spec=FAST)
    rate, first = result.parameters["growth_rate"], result.parameters["initial_area"]
    assert result.samples == pytest.approx(first * np.exp(200 * rate))


def test_without_noise_all_samples_agree():
    result = forecast(timeline(), 200, spec=dataclasses.replace(FAST, noise=0.0))
    assert result.samples == pytest.approx(result.samples[0], rel=1e-3)


def test_train_setup_never_sees_the_forecast_day():
    seen = forecast(timeline((400, 520, 610, 830)), 120, spec=FAST)
    with_truth = forecast(timeline((400, 520, 610, 830, 99999)), 120, spec=FAST)
    assert np.array_equal(seen.samples, with_truth.samples)


def test_all_setup_sees_every_visit():
    spec = dataclasses.replace(FAST, setup="all")
    low, high = timeline((400, 520, 610, 830, 900)), timeline((400, 520, 610, 830, 9000))
    assert forecast(high, 120, spec=spec).median > 2 * forecast(low, 120, spec=spec).median


def test_interval_of_the_ode_holds_the_measurements():
    rt = (Radiotherapy(35.0),)
    series = timeline((900, 1290, 1471, 655, 954, 1925), step=40, rt=rt)
    low, high = forecast(series, 200, spec=GrowthSpec(setup="all", n_bootstrap=30)).interval()
    assert low < 1925 < high


def test_carry_forward_spreads_around_the_last_area():
    result = forecast(timeline(), 500, spec=GrowthSpec(law="carry_forward", n_bootstrap=4000))
    assert result.median == pytest.approx(990, rel=0.01)
    assert result.samples.std() == pytest.approx(99, rel=0.05)


def test_carry_forward_needs_one_visit():
    result = forecast(timeline((400.0,)), 90, spec=GrowthSpec(law="carry_forward"))
    assert result.median == pytest.approx(400, rel=0.05)


def test_vanished_tumour_is_carried_forward():
    result = forecast(timeline((0.0, 0.0)), 90, spec=GrowthSpec(law="carry_forward"))
    assert result.median == 0.0


def test_too_few_visits_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"p1/z070: 2 visit\(s\) before day 60.*=all"):
        forecast(timeline((400.0, 500, 600)), 60, spec=GrowthSpec())


@pytest.mark.parametrize("areas", [(400.0, 500, 600), (0.0, 300, 600, 700)])
def test_fallback_is_used_and_named(areas, caplog):
    spec = GrowthSpec(fallback="carry_forward")
    with caplog.at_level(logging.WARNING):
        result = forecast(timeline(areas), 30.0 * (len(areas) - 1), spec=spec)
    assert result.law == "carry_forward"
    assert "Falling back to growth model carry_forward" in caplog.text


def test_day_before_the_first_visit_is_refused():
    with pytest.raises(ValueError, match="forecast day -5 lies before the first visit"):
        forecast(timeline(), -5, spec=FAST)


def test_max_growth_limits_the_extrapolation_only_when_asked():
    series = timeline((100.0, 400, 1600))
    free = forecast(series, 400, spec=FAST)
    capped = forecast(series, 400, spec=dataclasses.replace(FAST, max_growth=3.0))
    assert free.median > 4800
    assert capped.samples.max() == pytest.approx(4800)


def failing(monkeypatch, converged) -> None:
    """Refits of FAST converge as told; the first fit as it does."""

    def engine(batch, tasks, tolerance) -> Fits:
        fits = solve_batched(batch, tasks, tolerance)
        if len(tasks) == FAST.n_bootstrap:
            return dataclasses.replace(fits, converged=converged)
        return fits

    monkeypatch.setitem(ENGINES, "batched", engine)


def test_failed_refits_are_counted_and_left_out(monkeypatch, caplog):
    failing(monkeypatch, np.arange(20) % 2 == 0)
    with caplog.at_level(logging.WARNING):
        result = forecast(timeline(), 200, spec=FAST)
    assert (result.samples.size, result.n_failed) == (10, 10)
    assert "10 of 20 refits failed" in caplog.text


def test_no_refit_left_is_an_error(monkeypatch):
    failing(monkeypatch, np.zeros(20, bool))
    with pytest.raises(ValueError, match=r"no samples .20 refits failed"):
        forecast(timeline(), 200, spec=FAST)


def test_additive_noise_that_erases_the_first_area_fails_that_refit():
    spec = GrowthSpec(law="exponential", noise_model="additive", noise=2.0, n_bootstrap=40)
    result = bootstrap(timeline(), spec, rng=np.random.default_rng(0))
    assert result.n_failed > 0
    assert len(result.values) == 40 - result.n_failed


def test_starts_do_not_decide_the_curve():
    rt = (Radiotherapy(35.0),)
    series = timeline((900, 1290, 1471, 655, 954, 1925), step=40, rt=rt)
    problem = FitProblem.of(series, GrowthSpec().resolve())
    batch = fit_problem(problem, ridge=0.01, residuals="area")
    one, other = (point_fit(batch, 16, np.random.default_rng(seed))[0] for seed in (1, 2))
    assert one.area(series.days) == pytest.approx(other.area(series.days), rel=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"law": "oed"}, "growth.law='oed'"),
        ({"noise_model": "gaussian"}, "growth.noise_model='gaussian'"),
        ({"setup": "test"}, "growth.setup='test'"),
        ({"n_bootstrap": 0}, "growth.n_bootstrap=0"),
        ({"bounds": {"speed": [1, 2]}}, "growth.bounds='speed'"),
        ({"bounds": {"delay": [1]}}, "growth.bounds.delay=.1."),
        ({"fallback": "none"}, "growth.fallback='none'"),
        ({"engine": "torch"}, "growth.engine='torch'"),
    ],
)
def test_spec_refuses_by_key(change, message):
    with pytest.raises(ValueError, match=message):
        GrowthSpec(**change)


def test_bounds_of_the_spec_hold_in_the_samples():
    spec = dataclasses.replace(FAST, bounds={"growth_rate": [0.0, 0.001]})
    assert forecast(timeline(), 200, spec=spec).parameters["growth_rate"].max() <= 0.001 + 1e-12


def test_monte_carlo_error_is_the_spread_over_seeds():
    spec = dataclasses.replace(FAST, n_bootstrap=100)
    runs = [forecast(timeline(), 200, spec=dataclasses.replace(spec, seed=k)) for k in range(60)]
    ends = np.array([made.interval() for made in runs])
    told = np.array([made.interval_error() for made in runs]).mean(axis=0)
    assert told == pytest.approx(ends.std(axis=0), rel=0.5)


def test_a_forecast_says_what_its_interval_stands_on():
    alone = forecast(timeline(), 200, spec=FAST)
    with_others = forecast(timeline(), 200, spec=GrowthSpec(law="pooled", population="phantom"))
    assert "guarantee: no" in alone.guarantee
    assert "Another seed changes its ends" in alone.guarantee
    assert "guarantee: no" in with_others.guarantee
    assert "held-out patients of the prior's" in with_others.guarantee
    assert with_others.interval_error() == (0.0, 0.0)

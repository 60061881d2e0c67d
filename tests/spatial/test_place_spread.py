from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechlearn.records import ArrivalMap, PlaceSpread, SizeForecast
from mechlearn.spatial.place_spread import fit_place_spread, log_ratio_counts, packaged_spread


def forecast(samples: np.ndarray) -> SizeForecast:
    days = np.array([0.0, 50.0])
    curves = np.stack([np.full(len(samples), 100.0), samples], axis=1)
    return SizeForecast(name="a", day=50.0, samples=samples, curve_days=days, curves=curves,
                        law="exponential", unit="mm3")  # fmt: skip


def arrival() -> ArrivalMap:
    rng = np.random.default_rng(3)
    sizes = np.arange(1.0, 1001.0)
    rng.shuffle(sizes)
    grid = sizes.reshape(10, 10, 10)
    grid[0] = np.inf
    return ArrivalMap(grid, grid <= 120, (1.0, 1.0, 1.0), "mm3")


def test_exact_map_is_the_mean_of_100_thresholded_masks() -> None:
    samples = np.random.default_rng(0).lognormal(5.5, 0.5, 100)
    found = arrival().growth_map(forecast(samples)).probability
    expected = np.mean([arrival().mask(size) for size in samples], axis=0)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_a_narrow_spread_tends_to_the_exact_map() -> None:
    samples = np.random.default_rng(0).lognormal(5.5, 0.5, 400)
    narrow = replace(arrival(), spread=PlaceSpread(0.0, 1e-3, 1e-3))
    found = narrow.growth_map(forecast(samples)).probability
    exact = arrival().growth_map(forecast(samples)).probability
    assert np.abs(found - exact).max() < 0.03


def test_spread_map_is_the_mean_over_sizes() -> None:
    samples = np.random.default_rng(0).lognormal(5.5, 0.5, 50)
    spread = PlaceSpread(-0.1, 0.5, 0.3)
    wide = replace(arrival(), spread=spread)
    found = wide.growth_map(forecast(samples)).probability
    expected = np.mean(
        [spread.probability(np.log(wide.arrival / size)) for size in samples], axis=0
    )
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_spread_map_keeps_the_order_and_stays_in_the_brain() -> None:
    samples = np.random.default_rng(0).lognormal(5.5, 0.5, 50)
    wide = replace(arrival(), spread=packaged_spread())
    p = wide.growth_map(forecast(samples)).probability
    order = np.argsort(wide.arrival, axis=None)
    assert (np.diff(p.ravel()[order]) <= 1e-6).all()
    assert not p[0].any()


def test_fit_recovers_the_spread_that_made_the_masks() -> None:
    rng = np.random.default_rng(5)
    true = PlaceSpread(-0.15, 0.5, 0.3)
    pairs = []
    for size in (2000.0, 5000.0, 12000.0):
        sizes = np.arange(1.0, 100_001.0)
        truth = rng.uniform(size=sizes.size) < true.probability(np.log(sizes / size))
        pairs.append(log_ratio_counts(sizes, truth, size))
    found = fit_place_spread(pairs)
    assert found.shift == pytest.approx(true.shift, abs=0.03)
    assert found.inner == pytest.approx(true.inner, rel=0.1)
    assert found.outer == pytest.approx(true.outer, rel=0.1)


def test_closed_tissue_gets_nothing_from_the_spread_and_the_expected_size_stays() -> None:
    samples = np.random.default_rng(0).lognormal(5.5, 0.3, 50)
    wide = replace(arrival(), spread=PlaceSpread(-0.1, 0.5, 0.3))
    before = wide.growth_map(forecast(samples)).probability
    shut = (np.indices(before.shape)[2] > 7) & ~wide.present
    after = replace(wide, closed=shut).growth_map(forecast(samples)).probability
    certain = replace(wide, spread=None).growth_map(forecast(samples)).probability
    np.testing.assert_array_equal(after[shut], certain[shut])
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)

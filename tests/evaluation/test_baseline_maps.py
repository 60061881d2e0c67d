from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.baseline_maps import BASELINE_MAPS, baseline_maps, sizes_below
from mechlearn.records import SizeForecast


@pytest.fixture
def forecast():
    days = np.array([0.0, 60.0])
    samples = np.linspace(900.0, 1500.0, 21)
    curves = np.stack([np.full(21, 700.0), samples], axis=1)
    return SizeForecast("s", 60.0, samples, days, curves, "exponential")


def test_every_method_spreads_the_same_expected_area(synthetic, forecast):
    scan = synthetic.make_slice(0, 5.0)
    maps = baseline_maps(scan, forecast, below_percentile=100)
    areas = {name: p.sum() * scan.pixel_mm2 for name, p in maps.items()}
    assert tuple(maps) == BASELINE_MAPS
    assert list(areas.values()) == pytest.approx([1200.0] * 5, rel=0.02)


def test_growth_keeps_the_initial_tumour_and_stays_in_the_brain(synthetic, forecast):
    scan = synthetic.make_slice(0, 5.0)
    for p in baseline_maps(scan, forecast).values():
        assert (p[scan.tumour] == 1).all()
        assert (p[~scan.brain] == 0).all()


def test_samples_above_the_percentile_are_left_out(forecast):
    kept = sizes_below(forecast, 90.0)
    assert kept.samples.max() <= np.percentile(forecast.samples, 90)
    assert len(kept.samples) == 19

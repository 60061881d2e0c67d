"""Spatial baselines to a given area."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.spatial.baselines import dilation, heat_kernel, no_change
from mechlearn.spatial.regions import dilate_to_area


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


BRAIN = disc(28)
MASK = disc(7, centre=(30, 38))


def test_no_change_is_the_mask():
    assert np.array_equal(no_change(MASK), MASK)


def test_no_change_does_not_share_memory():
    assert not np.shares_memory(no_change(MASK), MASK)


def test_dilation_is_the_region_of_that_area():
    assert np.array_equal(dilation(MASK, BRAIN, 400), dilate_to_area(MASK, BRAIN, 400))


@pytest.mark.parametrize("area", [100, 155, 300, 900, 2000])
def test_heat_kernel_crosses_one_half_at_the_area(area):
    grown = heat_kernel(MASK, BRAIN, area) >= 0.5
    assert grown.sum() == pytest.approx(area, abs=8)  # equal values join together


def test_heat_kernel_is_a_probability_inside_the_brain():
    probability = heat_kernel(MASK, BRAIN, 400)
    assert probability.min() >= 0
    assert probability.max() <= 1
    assert not probability[~BRAIN].any()


def test_heat_kernel_is_highest_at_the_tumour():
    probability = heat_kernel(MASK, BRAIN, 400)
    assert probability[MASK].min() > probability[BRAIN & ~disc(14, centre=(30, 38))].max()


def test_heat_does_not_leak_out_of_the_brain():
    at_edge = disc(7, centre=(32, 56)) & BRAIN
    inner, edge = (30, 40), (32, 59)
    probability = heat_kernel(at_edge, BRAIN, at_edge.sum() * 2)
    assert probability[edge] > probability[inner]


def test_heat_reaches_a_far_larger_area():
    assert (heat_kernel(disc(1), BRAIN, 2300, sigma_px=1.0) >= 0.5).sum() >= 2300


def test_heat_kernel_refuses_a_mask_outside_the_brain():
    with pytest.raises(ValueError, match="no pixel in the brain"):
        heat_kernel(disc(2, centre=(2, 2)), BRAIN, 100)


def test_heat_kernel_needs_an_area():
    with pytest.raises(ValueError, match="area_px=0"):
        heat_kernel(MASK, BRAIN, 0)

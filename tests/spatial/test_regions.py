"""Regions: areas, containment, ties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.spatial.regions import (
    dilate_to_area,
    double_area_dilation,
    signed_distance,
)


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


BRAIN = disc(28)


def test_doubled_area_is_at_least_twice_and_hardly_more():
    mask = disc(8)
    area = double_area_dilation(mask, BRAIN).sum()
    assert 2 * mask.sum() <= area <= 2.2 * mask.sum()


def test_doubled_region_is_a_dilation_by_a_disc():
    mask = disc(8, centre=(30, 26))
    grown = double_area_dilation(mask, np.ones((64, 64), bool))
    radii = (ndimage.distance_transform_edt(~mask) <= r for r in np.arange(1, 10, 0.05))
    assert any(np.array_equal(grown, dilated) for dilated in radii)


def test_doubled_region_stays_in_the_brain_at_its_edge():
    mask = disc(8, centre=(32, 56)) & BRAIN
    grown = double_area_dilation(mask, BRAIN)
    assert not (grown & ~BRAIN).any()
    assert grown.sum() >= 2 * mask.sum()


def test_mask_outside_the_brain_does_not_count():
    stray = disc(6) | disc(3, centre=(4, 4))
    assert np.array_equal(double_area_dilation(stray, BRAIN), double_area_dilation(disc(6), BRAIN))


def test_empty_mask_has_an_empty_region():
    assert not double_area_dilation(np.zeros((64, 64), bool), BRAIN).any()


def test_tumour_too_large_to_double_takes_the_whole_brain():
    assert np.array_equal(double_area_dilation(disc(24), BRAIN), BRAIN)


@pytest.mark.parametrize("area", [0, 1, 57, 197, 198, 400, 1200])
def test_dilate_to_area_is_exact(area):
    assert dilate_to_area(disc(8), BRAIN, area).sum() == area


def test_growing_keeps_the_mask_and_shrinking_stays_in_it():
    mask = disc(8)
    assert (dilate_to_area(mask, BRAIN, 500) & mask).sum() == mask.sum()
    assert not (dilate_to_area(mask, BRAIN, 50) & ~mask).any()


def test_growth_is_nested():
    small, large = (dilate_to_area(disc(5), BRAIN, a) for a in (150, 300))
    assert not (small & ~large).any()


def test_own_area_gives_the_mask_back():
    mask = disc(8, centre=(28, 36))
    assert np.array_equal(dilate_to_area(mask, BRAIN, mask.sum()), mask)


def test_area_beyond_the_brain_gives_the_brain():
    assert np.array_equal(dilate_to_area(disc(8), BRAIN, 1e9), BRAIN)


def test_ties_do_not_drift():
    grown = dilate_to_area(disc(8), BRAIN, disc(8).sum() + 16)
    assert ndimage.center_of_mass(grown) == pytest.approx((32, 32), abs=0.2)


def test_wide_pixels_grow_fewer_columns():
    grown = dilate_to_area(disc(4), BRAIN, 300, spacing_mm=(1.0, 3.0))
    rows, columns = np.nonzero(grown)
    assert np.ptp(rows) > 1.5 * np.ptp(columns)


def test_empty_mask_cannot_grow():
    with pytest.raises(ValueError, match="mask is empty"):
        dilate_to_area(np.zeros((64, 64), bool), BRAIN, 100)


@pytest.mark.parametrize("area", [-1, float("nan")])
def test_impossible_area_is_refused(area):
    with pytest.raises(ValueError, match="area_px"):
        dilate_to_area(disc(8), BRAIN, area)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="mask has shape"):
        dilate_to_area(disc(8), BRAIN[:32], 100)


def test_signed_distance_is_negative_inside():
    distance = signed_distance(disc(8))
    assert (distance[disc(8)] < 0).all()
    assert (distance[~disc(8)] > 0).all()

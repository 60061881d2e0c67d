"""Orders of joining: exact areas, nested masks, dilation as a case, travel through tissue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechlearn.records import CONTRASTS, AxialSlice, Surroundings
from mechlearn.spatial.arrival_order import (
    growth_order,
    joining_fraction,
    mask_at_area,
    travel_order,
)
from mechlearn.spatial.regions import dilate_to_area, signed_distance
from mechlearn.spatial.travel import tissue_speed, travel_mm


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


BRAIN = disc(28)
MASK = disc(7, centre=(30, 38)) | disc(4, centre=(24, 44))


def scan(mask=MASK, *, white=None, water=None):
    """Grey matter with white matter and CSF where asked for."""
    white = disc(0) if white is None else white
    water = disc(0) if water is None else water
    image = np.full((4, 64, 64), -1.0, np.float32)
    for channel, (grey, bright, wet) in enumerate(
        [(0.0, 0.5, -0.9), (0.0, 0.5, -0.9), (-0.5, -0.7, 0.9), (0.0, -0.1, -0.9)]
    ):
        image[channel, BRAIN] = grey
        image[channel, white & BRAIN] = bright
        image[channel, water & BRAIN] = wet
    return AxialSlice("p", "s", 0.0, 0, image, mask.astype(np.uint8) * 2, BRAIN, (1.5, 1.5))


def centrality(mask):
    r, c = np.nonzero(mask)
    rows, columns = np.indices(mask.shape)
    return np.hypot(rows - r.mean(), columns - c.mean())


@pytest.mark.parametrize("area", [1, 40, 190, 400, 1500])
def test_dilation_is_the_order_of_the_signed_distance(area):
    joining = joining_fraction(signed_distance(MASK), BRAIN, ties=centrality(MASK))
    assert np.array_equal(mask_at_area(joining, area), dilate_to_area(MASK, BRAIN, area))


def test_every_area_is_exact_and_holds_the_smaller_ones():
    joining = joining_fraction(np.random.default_rng(0).normal(size=(64, 64)), BRAIN)
    masks = [mask_at_area(joining, area) for area in range(0, int(BRAIN.sum()) + 1, 97)]
    assert [int(m.sum()) for m in masks] == list(range(0, int(BRAIN.sum()) + 1, 97))
    assert not any((small & ~large).any() for small, large in zip(masks, masks[1:], strict=False))


def test_an_order_lies_in_the_brain():
    joining = joining_fraction(np.zeros((64, 64)), BRAIN)
    assert np.isinf(joining[~BRAIN]).all()
    assert joining[BRAIN].max() == 1


def test_an_undefined_field_has_no_order():
    field = np.where(disc(2), np.nan, 0.0)
    with pytest.raises(ValueError, match="NaN at 13 of"):
        joining_fraction(field, BRAIN)


def test_travel_time_in_even_tissue_is_the_distance_along_the_axes():
    times = travel_mm(np.ones((64, 64)), disc(5), (1.5, 1.5))
    assert times[32, 60] == pytest.approx(1.5 * 23)
    assert times[10, 32] == pytest.approx(1.5 * 17)


def test_a_wall_is_walked_around():
    wall = np.zeros((64, 64), bool)
    wall[20:45, 40] = True
    times = travel_mm(np.where(wall, 0.0, 1.0), disc(5), (1.0, 1.0))
    assert times[32, 44] > 1.5 * (44 - 37)


def test_what_is_never_reached_has_the_longest_time():
    speed = np.where(disc(20), 1.0, 0.0)
    assert travel_mm(speed, disc(5), (1.0, 1.0), limit_mm=50.0)[0, 0] == 50


def test_white_matter_is_fast_and_ventricles_are_closed():
    strip, pool = np.zeros((2, 64, 64), bool)
    strip[28:33, 40:58] = True
    pool[20:44, 22:30] = True
    found = scan(white=strip, water=pool)
    speed = tissue_speed(found.image, BRAIN, MASK, contrasts=CONTRASTS, spacing_mm=(1.5, 1.5))
    assert speed[30, 52] == pytest.approx(1, abs=0.05)
    assert speed[30, 52] > 1.3 * speed[50, 32]
    assert speed[32, 26] < 0.1
    assert not speed[~BRAIN].any()


def test_growth_follows_white_matter_and_stops_at_a_ventricle():
    strip, pool = np.zeros((2, 64, 64), bool)
    strip[28:33, 40:58] = True
    pool[20:44, 22:30] = True
    found = scan(white=strip, water=pool)
    grown = mask_at_area(travel_order(found), 3 * MASK.sum())
    even = dilate_to_area(MASK, BRAIN, 3 * MASK.sum())
    assert (grown & strip).sum() > (even & strip).sum()
    assert (grown & pool).sum() < (even & pool).sum()


@pytest.mark.parametrize("order", [growth_order, travel_order])
def test_growth_starts_from_the_tumour_and_shrinking_keeps_its_middle(order):
    joining = order(scan())
    assert np.array_equal(mask_at_area(joining, MASK.sum()), MASK)
    depth = signed_distance(MASK)
    kept = mask_at_area(joining, 30)
    assert depth[kept].max() <= depth[MASK & ~kept].min()


def test_a_scan_without_flair_gets_its_travel_order():
    whole = scan()
    some = replace(whole, image=whole.image[:3], contrasts=CONTRASTS[:3])
    assert np.array_equal(growth_order(some), travel_order(some))


def test_tumour_above_the_plane_draws_the_order():
    far = np.full((64, 64), 30.0, np.float32)
    above = disc(6, centre=(44, 20))
    distance = np.where(above, 1.5, np.minimum(far, signed_distance(MASK)))
    near = Surroundings(distance, np.maximum(distance, 0.0) * 2)
    flat = scan(disc(5))
    joining = [growth_order(replace(flat, surroundings=s))[above].mean() for s in (near, None)]
    assert joining[0] < joining[1]

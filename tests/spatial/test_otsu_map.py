"""Growth maps: Otsu, the floor, weights, and maps from measured masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu

from mechlearn.records import Generation, GuidanceTarget
from mechlearn.spatial.flair_threshold import FlairThreshold
from mechlearn.spatial.otsu_map import (
    DEFAULT_FLOOR,
    ChangeFloor,
    binarise,
    change_floor,
    change_map,
    growth_map,
)


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


BRAIN = disc(29)
TUMOUR = disc(6)
RINGS = {r: disc(r) & ~TUMOUR for r in (8, 10, 12)}
SPACING = (1.5, 1.5)


def x0():
    image = np.full((4, 64, 64), -1.0, np.float32)
    image[:, BRAIN] = -0.2
    image[2:, TUMOUR] = 0.6
    return image


def generation(*, ring=None, noise=0.0, seed=0, weight=1.0) -> Generation:
    image = x0()
    if ring is not None:
        image[2:, ring] = 0.6
    image += np.where(BRAIN, np.random.default_rng(seed).normal(0, noise, image.shape), 0)
    return Generation(
        torch.from_numpy(image.astype(np.float32)), GuidanceTarget(0.1, weight), 0.05, 0.1,
        200, 5e4, 5e4, seed,
    )


def build(generations, **more):
    defaults = {"brain": BRAIN, "kind": "dynamic", "spacing_mm": SPACING}
    return growth_map(x0(), generations, **(defaults | more))


def test_change_is_summed_over_contrasts():
    change = change_map(x0(), generation(ring=RINGS[10]).image, brain=BRAIN, median_px=1)
    assert change[RINGS[10]] == pytest.approx(1.6, rel=1e-5)
    assert change[BRAIN & ~RINGS[10]] == pytest.approx(0.0)


def test_change_outside_the_brain_does_not_count():
    image = x0()
    image[:, 0, 0] = 1.0
    assert change_map(x0(), image, brain=BRAIN).max() == 0.0


def test_otsu_is_that_of_scikit_image_inside_the_brain():
    change = change_map(x0(), generation(ring=RINGS[10], noise=0.1).image, brain=BRAIN, median_px=1)
    expected = BRAIN & (change > threshold_otsu(change[BRAIN]))
    assert np.array_equal(binarise(change, brain=BRAIN), expected)


def test_growth_is_found_in_noise():
    votes = build([generation(ring=RINGS[12], noise=0.05)]).mask()
    dice = 2 * (votes & RINGS[12]).sum() / (votes.sum() + RINGS[12].sum())
    assert dice > 0.93


def test_map_is_the_share_of_generations():
    result = build([generation(ring=RINGS[r]) for r in (8, 10, 12)], median_px=1)
    assert result.probability[32, 32 + 7] == pytest.approx(1.0)
    assert result.probability[32, 32 + 9] == pytest.approx(2 / 3)
    assert result.probability[32, 32 + 11] == pytest.approx(1 / 3)


def test_targets_weigh_the_votes():
    heavy, light = generation(ring=RINGS[8], weight=3.0), generation(ring=RINGS[12], weight=1.0)
    assert build([heavy, light]).probability[32, 32 + 11] == pytest.approx(0.25)


def test_given_weights_replace_those_of_the_targets():
    pair = [generation(ring=RINGS[8]), generation(ring=RINGS[12])]
    assert build(pair, weights=[1.0, 4.0]).probability[32, 32 + 11] == pytest.approx(0.8)


def test_order_of_generations_does_not_matter():
    members = [generation(ring=RINGS[r], noise=0.05, seed=r) for r in (8, 10, 12)]
    forward, backward = build(members), build(members[::-1])
    assert forward.probability == pytest.approx(backward.probability)


def test_bare_otsu_splits_the_noise_of_an_unchanged_image():
    assert build([generation(noise=0.02)], floor=0.0).probability.sum() > 100


def test_unchanged_image_votes_no_growth_and_is_counted():
    result = build([generation(noise=0.02), generation(ring=RINGS[10], noise=0.02, seed=1)])
    assert result.n_unchanged == 1
    assert result.n_generations == 2
    assert result.probability.max() == pytest.approx(0.5)


def test_identical_image_is_unchanged_without_any_floor():
    result = build([generation()], floor=0.0)
    assert result.n_unchanged == 1
    assert result.probability.max() == 0.0


def test_unguided_generation_sets_the_floor():
    loud = 0.25  # beyond the default floor
    members = [generation(noise=loud, seed=1), generation(ring=RINGS[12], noise=loud, seed=2)]
    assert build(members).n_unchanged == 0
    floor = change_floor(x0(), generation(noise=loud, seed=3), brain=BRAIN)
    result = build(members, floor=ChangeFloor(floor.pixel, 1.05 * floor.peak))
    assert result.n_unchanged == 1


def test_reference_generation_is_its_own_floor():
    unguided = generation(noise=0.25, seed=3)
    assert build([unguided], floor=unguided).n_unchanged == 1


def test_no_pixel_below_the_floor_is_marked():
    change = change_map(x0(), generation(ring=RINGS[10], noise=0.1).image, brain=BRAIN)
    marked = binarise(change, brain=BRAIN, floor=DEFAULT_FLOOR)
    assert change[marked].min() > DEFAULT_FLOOR.pixel


def test_mask_source_averages_measured_tumours():
    flair = FlairThreshold.fit(x0(), TUMOUR, BRAIN)
    members = [generation(ring=RINGS[12]), generation()]
    result = build(members, source="mask", flair=flair)
    assert result.probability[32, 32] == pytest.approx(1.0)
    assert result.probability[32, 32 + 10] == pytest.approx(0.5)
    assert result.n_unchanged == 1


def test_mask_source_needs_a_flair_threshold():
    with pytest.raises(ValueError, match="needs flair=FlairThreshold"):
        build([generation()], source="mask")


def test_map_carries_its_kind_and_spacing():
    result = build([generation(ring=RINGS[8])], kind="static")
    assert (result.kind, result.spacing_mm) == ("static", SPACING)


def test_no_generations_are_refused():
    with pytest.raises(ValueError, match="no generations"):
        build([])


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, -1.0]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match="growth map weights"):
        build([generation(), generation()], weights=weights)


def test_empty_brain_is_refused():
    empty = np.zeros_like(BRAIN)
    with pytest.raises(ValueError, match="brain mask is empty"):
        build([generation(ring=RINGS[8])], brain=empty)


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="growth map source='difference'"):
        build([generation()], source="difference")

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mechlearn.spatial.volume_arrival import ORDERS, FrontSpec, volume_arrival

SPACING = (2.0, 1.0, 1.0)


def head() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Labels, brain and images of a small head: a CSF bar lies to one side of the tumour."""
    shape = (15, 41, 41)
    z, r, c = np.indices(shape)
    brain = ((z - 7) / 7) ** 2 + ((r - 20) / 19) ** 2 + ((c - 20) / 19) ** 2 <= 1
    labels = np.zeros(shape, np.uint8)
    labels[(abs(z - 7) <= 1) & (np.hypot(r - 20, c - 16) <= 4)] = 2
    fluid = brain & (abs(c - 24) <= 1)
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 5, shape)
    t1n = np.where(brain, np.where(fluid, 150, 600 + 100 * (r > 20)) + noise, 0)
    t2w = np.where(brain, np.where(fluid, 900, 300) + noise, 0)
    t2f = np.where(brain, np.where(fluid, 100, 300) + noise, 0)
    return labels, brain, {"t1n": t1n, "t2w": t2w, "t2f": t2f}


@pytest.mark.parametrize("order", ORDERS)
def test_mask_of_a_size_has_that_size_and_masks_are_nested(order: str) -> None:
    labels, brain, images = head()
    arrival = volume_arrival(labels, brain, images, spacing_mm=SPACING, order=order)
    assert arrival.unit == "mm3"
    before = np.zeros(brain.shape, bool)
    for size in (20.0, 200.0, arrival.present_size, 1500.0, 6000.0):
        mask = arrival.mask(size)
        assert mask.sum() * arrival.voxel_size == pytest.approx(size, abs=arrival.voxel_size)
        assert not (before & ~mask).any()
        before = mask


@pytest.mark.parametrize("order", ORDERS)
def test_present_size_gives_the_present_mask(order: str) -> None:
    labels, brain, images = head()
    arrival = volume_arrival(labels, brain, images, spacing_mm=SPACING, order=order)
    np.testing.assert_array_equal(arrival.mask(arrival.present_size), labels == 2)


def test_nothing_leaves_the_brain_or_enters_a_cavity() -> None:
    labels, brain, images = head()
    labels[6:9, 26:30, 14:18] = 4
    arrival = volume_arrival(labels, brain, {"t1n": images["t1n"]}, spacing_mm=SPACING)
    never = np.isinf(arrival.arrival)
    np.testing.assert_array_equal(never, ~brain | (labels == 4))


def test_csf_that_t2_and_flair_show_is_never_tumour_and_growth_goes_on_behind_it() -> None:
    labels, brain, images = head()
    column = np.indices(brain.shape)[2]
    arrival = volume_arrival(labels, brain, images, spacing_mm=SPACING).arrival
    assert np.isinf(arrival[brain & (column == 24)]).all()
    assert np.isfinite(arrival[brain & (column > 28)]).all()


def test_fluid_is_taken_late() -> None:
    labels, brain, images = head()
    fluid = brain & (abs(np.indices(brain.shape)[2] - 24) <= 1)
    by_image = volume_arrival(labels, brain, images, spacing_mm=SPACING)
    by_distance = volume_arrival(labels, brain, {}, spacing_mm=SPACING, order="distance")
    size = 12 * by_image.present_size
    assert (by_distance.mask(size) & fluid).sum() > 100
    assert (by_image.mask(size) & fluid).sum() < 0.3 * (by_distance.mask(size) & fluid).sum()


@pytest.mark.parametrize("kept", [("t1n",), ("t2w", "t2f"), ("t1c",), ()])
def test_any_subset_of_contrasts_gives_a_map(kept: tuple[str, ...]) -> None:
    labels, brain, images = head()
    images["t1c"] = images["t1n"]
    some = {name: images[name] for name in kept}
    arrival = volume_arrival(labels, brain, some, spacing_mm=SPACING)
    csf = abs(np.indices(brain.shape)[2] - 24) <= 3
    assert np.isfinite(arrival.arrival[brain & ~csf]).all()


def test_intensity_unit_does_not_matter() -> None:
    labels, brain, images = head()
    scaled = {name: 0.001 * image for name, image in images.items()}
    a = volume_arrival(labels, brain, images, spacing_mm=SPACING)
    b = volume_arrival(labels, brain, scaled, spacing_mm=SPACING)
    assert (a.mask(2000.0) ^ b.mask(2000.0)).sum() <= 4  # rounding


def test_a_plane_is_the_same_code() -> None:
    labels, brain, images = head()
    cut = {name: image[7] for name, image in images.items()}
    arrival = volume_arrival(labels[7], brain[7], cut, spacing_mm=SPACING[1:])
    assert arrival.unit == "mm2"
    assert arrival.mask(100.0).sum() == 100


def test_deep_weight_prefers_the_bulk_to_a_thin_extension() -> None:
    labels = np.zeros((41, 81), np.uint8)
    r, c = np.indices(labels.shape)
    labels[np.hypot(r - 20, c - 20) <= 8] = 2
    labels[19:22, 20:70] = 2
    brain = np.ones(labels.shape, bool)

    def tip(weight: float) -> int:
        spec = replace(FrontSpec(), deep_weight=weight)
        arrival = volume_arrival(labels, brain, {}, spacing_mm=(1, 1), spec=spec)
        grown = arrival.mask(1.5 * arrival.present_size)
        return int((grown & (labels == 0))[:, 60:].sum())

    assert tip(0.5) < tip(0.0)


def test_no_tumour_is_refused() -> None:
    labels = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="no tumour"):
        volume_arrival(labels, np.ones((4, 4), bool), {}, spacing_mm=(1, 1))


def test_tissue_cut_off_from_the_tumour_joins_last_whatever_the_weight() -> None:
    labels = np.zeros((21, 41), np.uint8)
    labels[10, 5:9] = 2
    speed = np.ones(labels.shape)
    speed[:, 20] = 0
    for weight in (0.0, 0.3):
        spec = replace(FrontSpec(), deep_weight=weight)
        arrival = volume_arrival(labels, np.ones(labels.shape, bool), {}, spacing_mm=(1, 1),
                                 speed=speed, spec=spec)  # fmt: skip
        assert arrival.arrival[:, 21:].min() > arrival.arrival[:, :20].max()

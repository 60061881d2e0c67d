from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.model_grid import GridPlacement, SliceGrid, reorient, reorient_back

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def affine_of(codes: tuple[str, ...], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> np.ndarray:
    ornt = nib.orientations.axcodes2ornt(codes)
    affine = np.zeros((4, 4))
    for axis, (world, flip) in enumerate(ornt):
        affine[int(world), axis] = flip * spacing[axis]
    affine[:, 3] = [11.0, -7.0, 3.0, 1.0]
    return affine


ORDERS = [
    tuple(pair[flip] for pair, flip in zip(order, flips, strict=True))
    for order in permutations(("LR", "PA", "SI"))
    for flips in product((0, 1), repeat=3)
]


@pytest.mark.parametrize("codes", ORDERS, ids="".join)
def test_reorientation_and_back_is_exact(codes):
    volume = np.random.default_rng(0).random((4, 5, 6))
    affine = affine_of(codes)
    assert np.array_equal(reorient_back(reorient(volume, affine), affine), volume)


@pytest.mark.parametrize("codes", ORDERS, ids="".join)
def test_canonical_rows_run_to_posterior_and_columns_to_left(codes):
    affine = affine_of(codes)
    world = np.stack(np.meshgrid(*(np.arange(n) for n in (4, 5, 6)), indexing="ij"), -1)
    world = nib.affines.apply_affine(affine, world)
    x, y, z = (reorient(world[..., i], affine) for i in range(3))
    assert np.all(np.diff(z, axis=0) > 0)  # to superior
    assert np.all(np.diff(y, axis=1) < 0)  # to posterior
    assert np.all(np.diff(x, axis=2) < 0)  # to left


def block(shape, rows, columns):
    brain = np.zeros(shape, bool)
    brain[:, rows[0] : rows[1], columns[0] : columns[1]] = True
    return brain


def test_paper_grid_pads_240_to_256_bit_for_bit():
    brain = block((3, 240, 240), (30, 210), (50, 190))
    volume = np.random.default_rng(0).random((1, 3, 240, 240), np.float32) * brain
    placed = SliceGrid(256, 1.0).place(brain, LPS, name="case")
    images, kept = placed.images(volume, brain, background=-1.0)
    assert placed.is_pure
    assert np.array_equal(images[:, :, 8:248, 8:248], np.where(brain, volume, -1.0))
    assert np.array_equal(kept[:, 8:248, 8:248], brain)


def test_demo_grid_crops_160_to_128_bit_for_bit():
    affine = np.diag([-1.5, -1.5, 1.5, 1.0])
    brain = block((2, 160, 160), (25, 140), (40, 120))
    labels = np.random.default_rng(0).integers(0, 5, (2, 160, 160)).astype(np.uint8)
    placed = SliceGrid(128, 1.5).place(brain, affine, name="case")
    assert placed.is_pure
    assert np.array_equal(placed.labels(labels), labels[:, 16:144, 16:144])


@pytest.mark.parametrize("shape", [(2, 50, 61), (2, 31, 90), (2, 64, 64)])
def test_crop_and_pad_returns_to_the_source(shape):
    brain = block(shape, (5, 25), (20, 50))
    placed = SliceGrid(64, 1.0).place(brain, LPS, name="case")
    labels = np.where(brain, 3, 0).astype(np.uint8)
    assert np.array_equal(placed.labels(placed.labels(labels), back=True), labels)


def test_grid_stays_centred_when_the_brain_fits():
    brain = block((2, 100, 100), (30, 90), (20, 80))
    assert SliceGrid(96, 1.0).place(brain, LPS, name="case").offset == (0, 0)


def test_grid_moves_to_a_brain_that_would_be_cut():
    brain = block((2, 100, 100), (40, 96), (20, 80))
    placed = SliceGrid(64, 1.0).place(brain, LPS, name="case")
    assert placed.offset == (18, 0)
    assert placed.share_outside(brain) == 0.0


def test_given_offset_is_kept():
    brain = block((2, 100, 100), (30, 60), (30, 60))
    assert SliceGrid(64, 1.0).place(brain, LPS, name="case", offset=(3, -2)).offset == (3, -2)


def test_brain_larger_than_the_grid_is_refused_with_the_size_it_needs():
    brain = block((2, 100, 100), (10, 90), (20, 80))
    with pytest.raises(ValueError, match=r"case P7/s1.*64 x 64.*spans 79 mm.*size >= 80"):
        SliceGrid(64, 1.0).place(brain, LPS, name="P7/s1")


def test_specks_outside_the_grid_are_tolerated():
    brain = block((2, 100, 100), (30, 80), (30, 80))
    brain[0, 99, 0] = True
    assert SliceGrid(64, 1.0).place(brain, LPS, name="case").share_outside(brain) < 0.005


def disc(n: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return np.hypot(y, x)[None] < radius


def test_resampled_area_is_kept_in_mm2():
    brain = disc(120, 50.0)
    placed = SliceGrid(80, 1.5).place(brain, LPS, name="case")
    _, kept = placed.images(brain[None].astype(float), brain, background=-1.0)
    assert kept.sum() * 1.5**2 == pytest.approx(brain.sum(), rel=0.01)


def test_resampled_constant_brain_has_no_dark_rim():
    brain = disc(120, 50.0)
    placed = SliceGrid(80, 1.5).place(brain, LPS, name="case")
    images, kept = placed.images(np.full((1, *brain.shape), 0.7), brain, background=-1.0)
    np.testing.assert_allclose(images[0][kept], 0.7, atol=1e-5)
    assert np.all(images[0][~kept] == -1.0)


def test_resampled_labels_keep_their_values_and_area():
    brain = disc(120, 50.0)
    labels = np.where(disc(120, 12.0), 3, np.where(disc(120, 24.0), 2, 0)).astype(np.uint8)
    placed = SliceGrid(80, 1.5).place(brain, LPS, name="case")
    moved = placed.labels(labels)
    assert set(np.unique(moved)) == {0, 2, 3}
    assert (moved > 0).sum() * 1.5**2 == pytest.approx((labels > 0).sum(), rel=0.02)


def test_resampled_slices_return_close_to_the_source():
    brain = disc(120, 50.0)
    smooth = np.broadcast_to(np.sin(np.arange(120) / 12.0), (1, 1, 120, 120))
    placed = SliceGrid(80, 1.5).place(brain, LPS, name="case")
    image, kept = placed.images(smooth, brain, background=-1.0)
    back, again = placed.images(image, kept, background=-1.0, back=True)
    inner = disc(120, 47.0)
    assert again.shape == brain.shape
    assert np.mean(again != brain) < 0.01
    np.testing.assert_allclose(back[0][inner], smooth[0][inner], atol=0.02)


def test_unequal_spacing_in_the_plane_becomes_square():
    affine = np.diag([-0.5, -1.0, 3.0, 1.0])  # columns 0.5 mm, rows 1 mm
    y, x = np.meshgrid(np.arange(60) - 29.5, (np.arange(120) - 59.5) * 0.5, indexing="ij")
    brain = (np.hypot(y, x) < 20)[None]
    placed = SliceGrid(64, 1.0).place(brain, affine, name="case")
    _, kept = placed.images(brain[None].astype(float), brain, background=-1.0)
    rows, columns = kept[0].any(1).sum(), kept[0].any(0).sum()
    assert placed.spacing_mm == (3.0, 1.0, 0.5)
    assert abs(int(rows) - int(columns)) <= 1


def test_probabilities_stay_in_range_on_the_way_back():
    brain = disc(120, 50.0)
    placed = SliceGrid(80, 1.5).place(brain, LPS, name="case")
    values = placed.values(np.ones((1, 80, 80), np.float32), back=True)
    assert 0.0 <= values.min() <= values.max() <= 1.0 + 1e-6


def test_placement_survives_json():
    brain = block((2, 100, 100), (40, 96), (20, 80))
    placed = SliceGrid(64, 1.0).place(brain, LPS, name="case")
    copy = GridPlacement.from_dict(placed.as_dict())
    assert copy.as_dict() == placed.as_dict()


@pytest.mark.parametrize(("size", "pixel"), [(4, 1.0), (64, 0.0), (64, -1.0)])
def test_impossible_grid_is_refused(size, pixel):
    with pytest.raises(ValueError, match=r"grid|pixel_mm=\S+: must be a positive number"):
        SliceGrid(size, pixel)

"""The FLAIR threshold sees growth in the picture, and only there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mechlearn.spatial.flair_threshold import FlairThreshold, as_image, smooth_inside


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


BRAIN = disc(29)


def picture(tumour, *, seed=0, core=None):
    """Four contrasts: brain -0.2, tumour 0.6 in t2w and t2f, background -1, noise 0.03."""
    image = np.full((4, 64, 64), -1.0)
    image[:, BRAIN] = -0.2
    image[2:, tumour] = 0.6
    if core is not None:
        image[3, core] = -0.6
    image += np.where(BRAIN, np.random.default_rng(seed).normal(0, 0.03, image.shape), 0.0)
    return image.clip(-1, 1)


TUMOUR = disc(8, centre=(30, 38))
THRESHOLD = FlairThreshold.fit(picture(TUMOUR), TUMOUR, BRAIN)


def test_reference_mask_is_found():
    assert THRESHOLD.reference_dice > 0.97


def test_reference_fraction_is_that_of_the_reference_image():
    assert THRESHOLD.fraction(picture(TUMOUR)) == THRESHOLD.reference_fraction


@pytest.mark.parametrize("radius", [5, 10, 14])
def test_measured_fraction_follows_the_picture(radius):
    grown = disc(radius, centre=(30, 38))
    measured = THRESHOLD.fraction(picture(grown, seed=1))
    assert measured == pytest.approx(grown.sum() / BRAIN.sum(), rel=0.08)


def test_unrelated_bright_cortex_does_not_count():
    cortex = disc(4, centre=(32, 10))
    measured = THRESHOLD.mask(picture(TUMOUR | cortex, seed=1))
    assert not (measured & cortex).any()
    assert measured.sum() == pytest.approx(TUMOUR.sum(), rel=0.05)


def test_dark_core_is_filled():
    core = disc(4, centre=(30, 38))
    flair = FlairThreshold.fit(picture(TUMOUR, core=core), TUMOUR, BRAIN)
    assert flair.mask(picture(TUMOUR, core=core))[30, 38]
    assert flair.reference_dice > 0.97


def test_vanished_tumour_measures_zero():
    assert THRESHOLD.fraction(picture(np.zeros_like(TUMOUR), seed=1)) == 0.0


def test_outline_of_an_unchanged_image_is_the_experts():
    off = np.roll(TUMOUR, 1, axis=0)  # an expert who disagrees with any threshold
    flair = FlairThreshold.fit(picture(TUMOUR), off, BRAIN)
    assert np.array_equal(flair.outline(picture(TUMOUR)), off)


def test_outline_follows_growth_and_shrinkage():
    for radius in (5, 12):
        grown = disc(radius, centre=(30, 38))
        outline = THRESHOLD.outline(picture(grown, seed=1))
        assert (outline & grown).sum() * 2 / (outline.sum() + grown.sum()) > 0.95


def test_tensor_and_array_measure_alike():
    image = picture(TUMOUR, seed=2)
    assert THRESHOLD.fraction(torch.from_numpy(image)) == THRESHOLD.fraction(image)


def test_contrasts_name_the_flair_channel():
    swapped = picture(TUMOUR)[[3, 0, 1, 2]]
    flair = FlairThreshold.fit(swapped, TUMOUR, BRAIN, contrasts=("t2f", "t1n", "t1c", "t2w"))
    assert flair.reference_dice > 0.97


def test_without_flair_there_is_no_threshold():
    with pytest.raises(ValueError, match="t2f"):
        FlairThreshold.fit(picture(TUMOUR)[:2], TUMOUR, BRAIN, contrasts=("t1n", "t1c"))


def test_reference_without_tumour_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="no tumour in the brain.*skip this slice"):
        FlairThreshold.fit(picture(TUMOUR), np.zeros_like(TUMOUR), BRAIN)


def test_image_needs_three_axes():
    with pytest.raises(ValueError, match="must be .contrasts, rows, columns"):
        as_image(np.zeros((64, 64)))


def test_smoothing_inside_does_not_see_the_background():
    values = np.where(BRAIN, 0.5, -1.0)
    assert smooth_inside(values, BRAIN, 2.0)[BRAIN] == pytest.approx(0.5)


ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MECHLEARN_REAL_DATA", ROOT.parent / "shared" / "data")) / "brats2021"


@pytest.mark.slow
def test_the_threshold_agrees_with_experts_on_real_flair():
    if not DATA.exists():
        pytest.skip(f"no real data at {DATA}")
    nib = pytest.importorskip("nibabel")
    agreement = []
    for case in sorted(DATA.iterdir()):
        flair, seg = (
            np.asarray(nib.load(case / f"{case.name}_{kind}.nii.gz").dataobj, float)
            for kind in ("flair", "seg")
        )
        z = int((seg > 0).sum(axis=(0, 1)).argmax())
        brain = flair[..., z] > 0
        low, high = np.percentile(flair[flair > 0], [0.5, 99.5])
        image = np.where(brain, 2 * (flair[..., z] - low) / (high - low) - 1, -1).clip(-1, 1)
        fitted = FlairThreshold.fit(image[None], seg[..., z] > 0, brain, contrasts=("t2f",))
        agreement.append(fitted.reference_dice)
    assert np.median(agreement) > 0.85

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.template_tissue import inside_template, template_tissue
from mechlearn.metrics.distance import dice

REAL = Path(os.environ.get("MECHLEARN_REAL_DATA", Path(__file__).parents[3] / "shared/data"))
CASES = sorted(REAL.glob("brats2021/*/*_flair.nii.gz"))

LPS = np.array([[-4.0, 0, 0, 90], [0, -4, 0, 90], [0, 0, 4, -70], [0, 0, 0, 1]])
RAS = np.array([[4.0, 0, 0, -90], [0, 4, 0, -126], [0, 0, 4, -70], [0, 0, 0, 1]])


def test_a_flipped_grid_sees_the_same_tissue() -> None:
    shape = (46, 55, 40)
    lps, ras = template_tissue(shape, LPS), template_tissue(shape, RAS)
    np.testing.assert_allclose(lps.white, ras.white[::-1, ::-1], atol=1e-5)
    np.testing.assert_array_equal(lps.brain, ras.brain[::-1, ::-1])


def test_the_brain_is_closed_by_walls_but_for_the_callosum() -> None:
    tissue = template_tissue((1, 1, 1), np.diag([1.0, 1, 1, 1]))
    assert tissue.brain.shape == (1, 1, 1)
    callosum = np.eye(4)
    callosum[:3, 3] = (0, 20, 12)
    falx = np.eye(4)
    falx[:3, 3] = (0, -60, 50)
    through = template_tissue((1, 1, 1), callosum).speed(grey=0.2, csf=0.03)
    shut = template_tissue((1, 1, 1), falx).speed(grey=0.2, csf=0.03)
    assert through.item() > 0
    assert shut.item() == 0


def test_a_mask_out_of_template_space_is_refused() -> None:
    tissue = template_tissue((20, 20, 20), np.diag([4.0, 4, 4, 1]))
    mask = np.zeros((20, 20, 20), bool)
    mask[19, 19, 19] = True
    with pytest.raises(ValueError, match="neither in MNI152 space nor on the grid of BraTS"):
        inside_template(mask, tissue)


def test_the_grid_of_brats_is_known_in_any_orientation() -> None:
    """A RAS file of the grid that BraTS stores as LPS: the brain is in the middle, full size."""
    ras = np.array([[1.0, 0, 0, -239], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    brain = template_tissue((240, 240, 155), ras).brain
    assert np.argwhere(brain)[:, 0].mean() == pytest.approx(119.5, abs=3)
    assert brain.sum() / 1e6 == pytest.approx(1.45, abs=0.15)  # litres


@pytest.mark.skipif(not CASES, reason="no real data below MECHLEARN_REAL_DATA")
def test_the_template_covers_real_brains_of_brats() -> None:
    image = nib.load(CASES[0])
    brain = np.asarray(image.dataobj) > 0
    template = template_tissue(image.shape, image.affine).brain
    assert dice(template, brain) > 0.9  # type: ignore[operator]

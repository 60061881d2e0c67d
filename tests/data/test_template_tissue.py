from __future__ import annotations

import numpy as np
import pytest

from mechlearn.data.template_tissue import inside_template, template_tissue

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
    with pytest.raises(ValueError, match="not in MNI152 space"):
        inside_template(mask, tissue)

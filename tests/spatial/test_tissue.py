"""The tissue around a tumour, continued into it."""

import numpy as np
import pytest

from mechlearn.spatial.tissue import without_tumour


def disc(radius, size=32):
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    return row**2 + column**2 <= radius**2


def test_a_bright_tumour_in_even_tissue_leaves_none_of_its_brightness():
    brain, tumour = disc(14), disc(5)
    image = np.where(brain, -0.3, -1.0)[None] + 1.2 * tumour
    filled = without_tumour(image, tumour, brain)
    np.testing.assert_allclose(filled[0][brain], -0.3, atol=1e-5)


def test_everything_beside_tumour_and_margin_stays():
    brain, tumour = disc(14), disc(5)
    image = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32)).astype(np.float32)
    filled = without_tumour(image, tumour, brain, margin_px=1)
    np.testing.assert_array_equal(filled[:, ~disc(6.5)], image[:, ~disc(6.5)])
    assert (filled[:, tumour] != image[:, tumour]).all()


def test_each_side_takes_after_its_own_surroundings():
    brain, tumour = disc(14), disc(4)
    left = np.arange(32)[None, :] < 16
    image = np.where(brain, np.where(left, -0.5, 0.5), -1.0)[None]
    filled = without_tumour(image, tumour, brain)[0]
    assert filled[16, 12] < -0.2
    assert filled[16, 19] > 0.2


def test_a_brain_that_is_all_tumour_stays_as_it_is():
    brain = disc(6)
    image = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(without_tumour(image, brain, brain), image)


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"tumour.*brain"):
        without_tumour(np.zeros((1, 8, 8)), np.zeros((8, 9), bool), np.ones((8, 8), bool))

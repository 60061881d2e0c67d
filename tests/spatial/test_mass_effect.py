from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.spatial.mass_effect import displacement_px, pushed

FROM_CENTRE = np.hypot(*(np.indices((96, 96)) - 48))
BRAIN = FROM_CENTRE < 44
SMALL, LARGE = ((np.float64(r) > FROM_CENTRE).astype(np.uint8) for r in (6, 9))


def test_divergence_is_the_source_where_tissue_is_free():
    source = ndimage.gaussian_filter((FROM_CENTRE < 6).astype(float), 3)
    d = displacement_px(source, BRAIN, pixel_mm=1.5)
    divergence = np.gradient(d[0], axis=0) + np.gradient(d[1], axis=1)
    inner = FROM_CENTRE < 20
    np.testing.assert_allclose(divergence[inner], source[inner], atol=0.02)


def test_tissue_beside_a_growing_core_moves_outward_and_the_skull_holds():
    image = FROM_CENTRE[None].astype(np.float32)  # each pixel holds its distance from the centre
    moved, _ = pushed(image, SMALL, LARGE, BRAIN, share=1.0, pixel_mm=1.5)
    ring = (FROM_CENTRE > 11) & (FROM_CENTRE < 13)
    gained = (9**2 - 6**2) / (2 * 12)  # px: area over circumference
    assert (image - moved)[0][ring].mean() == pytest.approx(gained, rel=0.25)
    assert np.array_equal(moved[:, ~BRAIN], image[:, ~BRAIN])


def test_nothing_moves_without_new_core():
    image = np.random.default_rng(0).normal(size=(2, 96, 96))
    moved, labels = pushed(image, SMALL, SMALL, BRAIN, share=1.0, pixel_mm=1.5)
    np.testing.assert_allclose(moved, image, atol=1e-6)
    assert np.array_equal(labels, SMALL)


def test_a_tumour_that_grows_by_core_carries_its_labels_outward():
    _, labels = pushed(FROM_CENTRE[None], SMALL, LARGE, BRAIN, share=1.0, pixel_mm=1.5)
    assert (SMALL > 0).sum() < (labels > 0).sum() <= (LARGE > 0).sum() + 20

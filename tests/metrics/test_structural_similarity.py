"""Region SSIM against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from mechlearn.metrics.structural_similarity import region_ssim, ssim_map


def disc(radius, *, size=48):
    r, c = np.indices((size, size))
    return (r - size // 2) ** 2 + (c - size // 2) ** 2 <= radius**2


BRAIN, TUMOUR = disc(20), disc(8)
RNG = np.random.default_rng(0)
REFERENCE = np.where(BRAIN, RNG.uniform(-0.8, 0.8, (4, 48, 48)), -1.0)
NOISY = np.where(BRAIN, (REFERENCE + RNG.normal(0, 0.2, REFERENCE.shape)).clip(-1, 1), -1.0)


def test_map_is_that_of_scikit_image():
    expected = np.stack([
        structural_similarity(
            a, b, data_range=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            full=True,
        )[1]
        for a, b in zip(NOISY, REFERENCE, strict=True)
    ])
    inner = (slice(None), slice(5, -5), slice(5, -5))  # the two pad the image's edge differently
    assert ssim_map(NOISY, REFERENCE)[inner] == pytest.approx(expected[inner], abs=1e-10)


def test_regions_average_the_map():
    found, similarity = region_ssim(NOISY, REFERENCE, tumour=TUMOUR, brain=BRAIN), ssim_map(
        NOISY, REFERENCE
    )
    assert found.inside_per_contrast == pytest.approx(similarity[:, TUMOUR].mean(axis=1))
    assert found.outside_per_contrast == pytest.approx(similarity[:, BRAIN & ~TUMOUR].mean(axis=1))


def test_contrasts_are_averaged():
    found = region_ssim(NOISY, REFERENCE, tumour=TUMOUR, brain=BRAIN)
    assert found.inside == pytest.approx(np.mean(found.inside_per_contrast))


def test_the_same_image_scores_one():
    found = region_ssim(REFERENCE, REFERENCE, tumour=TUMOUR, brain=BRAIN)
    assert (found.inside, found.outside) == pytest.approx((1.0, 1.0))


def test_change_in_the_tumour_lowers_the_inside_alone():
    changed = REFERENCE.copy()
    changed[:, disc(3)] += 0.5
    found = region_ssim(changed, REFERENCE, tumour=disc(12), brain=BRAIN)
    assert found.inside < 0.9
    assert found.outside > 0.999


def test_background_does_not_count():
    changed = REFERENCE.copy()
    changed[:, :3, :3] = 1.0
    assert region_ssim(changed, REFERENCE, tumour=TUMOUR, brain=BRAIN).outside == pytest.approx(1.0)


def test_empty_region_is_undefined():
    found = region_ssim(NOISY, REFERENCE, tumour=np.zeros_like(BRAIN), brain=BRAIN)
    assert found.inside is None
    assert found.inside_per_contrast is None
    assert found.outside is not None


def test_tensors_are_taken():
    found = region_ssim(torch.tensor(NOISY), torch.tensor(REFERENCE), tumour=TUMOUR, brain=BRAIN)
    assert found == region_ssim(NOISY, REFERENCE, tumour=TUMOUR, brain=BRAIN)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="image has shape"):
        region_ssim(NOISY[:1], REFERENCE, tumour=TUMOUR, brain=BRAIN)


def test_image_needs_three_axes():
    with pytest.raises(ValueError, match="must be .contrasts, rows, columns"):
        region_ssim(NOISY[0], REFERENCE[0], tumour=TUMOUR, brain=BRAIN)

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics.surface_dice import compute_surface_dice

from mechlearn.metrics.distance import dice
from mechlearn.metrics.volume_overlap import continuous_dice, coverage_at_volume, surface_dice


def blobs() -> tuple[np.ndarray, np.ndarray]:
    z, r, c = np.indices((14, 30, 30))
    a = ((z - 7) * 2) ** 2 + (r - 14) ** 2 + (c - 14) ** 2 <= 64
    b = ((z - 7) * 2) ** 2 + (r - 17) ** 2 + (c - 14) ** 2 <= 81
    return a, b


@pytest.mark.parametrize("tolerance", [1.0, 2.0, 4.0])
def test_surface_dice_agrees_with_monai(tolerance: float) -> None:
    a, b = blobs()
    spacing = (2.0, 1.0, 1.0)
    ours = surface_dice(a, b, spacing, tolerance_mm=tolerance)
    ta, tb = (torch.from_numpy(m)[None, None] for m in (a, b))
    theirs = compute_surface_dice(
        ta, tb, class_thresholds=[tolerance], include_background=True, spacing=spacing
    )
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_surface_dice_of_empty_masks() -> None:
    a, _ = blobs()
    nothing = np.zeros_like(a)
    assert surface_dice(a, nothing, (1, 1, 1)) == 0.0
    assert surface_dice(nothing, nothing, (1, 1, 1)) is None


def test_continuous_dice_of_a_mask_is_dice() -> None:
    a, b = blobs()
    assert continuous_dice(a.astype(float), b) == pytest.approx(dice(a, b))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_continuous_dice_is_one_for_a_proportional_map(level: float) -> None:
    a, _ = blobs()
    assert continuous_dice(level * a, a) == pytest.approx(1.0)


def test_continuous_dice_without_overlap_is_zero() -> None:
    a = np.array([True, False])
    assert continuous_dice(np.array([0.0, 0.7]), a) == 0.0


def test_coverage_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.1, 0.1, 0.0])
    truth = np.array([False, True, True, False, True])
    region = np.array([False, True, True, True, True])
    found = coverage_at_volume(score, truth, region=region, n_voxels=2)
    assert found == pytest.approx((1 + 0.5) / 3)  # half of the two equal voxels


def test_coverage_without_new_tumour_is_undefined() -> None:
    nothing = np.zeros(3, bool)
    assert coverage_at_volume(np.ones(3), nothing, region=~nothing, n_voxels=2) is None

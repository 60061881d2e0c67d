"""HD95 against MONAI, Dice, and summaries that count what is undefined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance

from mechlearn.metrics.distance import dice, hd95_mm, summarise_hd95


def disc(radius, *, centre=(32, 32), size=64):
    r, c = np.indices((size, size))
    return (r - centre[0]) ** 2 + (c - centre[1]) ** 2 <= radius**2


def blob(seed):
    rng = np.random.default_rng(seed)
    centre, radius = rng.integers(20, 44, 2), rng.integers(4, 12)
    return disc(radius, centre=centre) | disc(3, centre=rng.integers(10, 54, 2))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.5, 1.5), (1.0, 3.0)])
def test_hd95_is_that_of_monai(seed, spacing):
    a, b = blob(seed), blob(seed + 100)
    tensors = (torch.tensor(m)[None, None].float() for m in (a, b))
    expected = compute_hausdorff_distance(
        *tensors, include_background=True, percentile=95, spacing=list(spacing)
    )
    assert hd95_mm(a, b, spacing) == pytest.approx(float(expected), abs=1e-4)


def test_distance_to_itself_is_zero():
    assert hd95_mm(disc(8), disc(8), (1.0, 1.0)) == 0.0


def test_distance_is_symmetric():
    assert hd95_mm(blob(1), blob(2), (1.0, 2.0)) == hd95_mm(blob(2), blob(1), (1.0, 2.0))


def test_distance_is_in_millimetres():
    a, b = disc(8), disc(8, centre=(32, 40))
    assert hd95_mm(a, b, (3.0, 3.0)) == pytest.approx(3 * hd95_mm(a, b, (1.0, 1.0)))


def test_two_pixels_are_their_distance_apart():
    a, b = np.zeros((2, 9, 9), bool)
    a[1, 1] = b[1, 5] = True
    assert hd95_mm(a, b, (1.0, 2.0)) == pytest.approx(8.0)


@pytest.mark.parametrize(("a", "b"), [(0, 8), (8, 0), (0, 0)])
def test_empty_mask_has_no_distance(a, b):
    masks = (disc(r) if r else np.zeros((64, 64), bool) for r in (a, b))
    assert hd95_mm(*masks, (1.0, 1.0)) is None


def test_spacing_needs_one_number_an_axis():
    with pytest.raises(ValueError, match="one number for each of the 2 axes"):
        hd95_mm(disc(3), disc(3), (1.0, 1.0, 1.0))


def test_dice_of_half_overlap():
    a, b = np.zeros((2, 4, 4), bool)
    a[:2], b[1:3] = True, True
    assert dice(a, b) == pytest.approx(0.5)


def test_dice_with_one_empty_mask_is_zero_and_with_two_undefined():
    empty = np.zeros((64, 64), bool)
    assert dice(disc(5), empty) == 0.0
    assert dice(empty, empty) is None


def test_summary_counts_the_undefined():
    found = summarise_hd95([1.0, 3.0, None, 8.0])
    assert (found.n, found.n_undefined) == (4, 1)
    assert found.mean == pytest.approx(4.0)
    assert found.median == pytest.approx(3.0)


def test_worst_case_median_does_not_improve_as_predictions_vanish():
    full, vanishing = summarise_hd95([1.0, 3.0, 8.0]), summarise_hd95([1.0, 3.0, None])
    assert vanishing.mean < full.mean
    assert vanishing.median_worst_case == full.median_worst_case == 3.0


def test_median_on_an_undefined_value_is_undefined():
    assert summarise_hd95([1.0, None, None]).median_worst_case is None


def test_summary_of_nothing_is_undefined():
    found = summarise_hd95([])
    assert (found.n, found.mean, found.median, found.median_worst_case) == (0, None, None, None)

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.spatial.intensity import IntensityScale, brain_mask


@pytest.fixture
def brain():
    mask = np.zeros((6, 20, 20), bool)
    mask[1:5, 4:16, 5:15] = True
    return mask


@pytest.fixture
def volumes(brain):
    rng = np.random.default_rng(0)
    return np.where(brain, rng.normal(500, 80, (2, *brain.shape)), 0.0)


def fit(volumes, brain, **options):
    return IntensityScale.fit(volumes, brain, contrasts=("t1n", "t2f"), **options)


def test_percentiles_of_the_brain_become_minus_one_and_one(volumes, brain):
    scaled = fit(volumes, brain, percentiles=(10, 90)).apply(volumes, brain)
    share_low = (scaled[0][brain] == -1).mean()
    share_high = (scaled[0][brain] == 1).mean()
    assert share_low == pytest.approx(0.1, abs=0.01)
    assert share_high == pytest.approx(0.1, abs=0.01)


def test_background_is_exactly_minus_one(volumes, brain):
    scaled = fit(volumes, brain).apply(volumes, brain)
    assert np.all(scaled[:, ~brain] == -1.0)


def test_range_is_minus_one_to_one(volumes, brain):
    scaled = fit(volumes, brain).apply(volumes, brain)
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (-1.0, 1.0)


def test_scale_does_not_depend_on_the_unit(volumes, brain):
    small = fit(volumes, brain).apply(volumes, brain)
    large = fit(volumes * 40 + 3, brain).apply(volumes * 40 + 3, brain)
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_inversion_returns_the_values_that_were_not_clipped(volumes, brain):
    scale = fit(volumes, brain)
    scaled = scale.apply(volumes, brain)
    back = scale.invert(scaled, brain)
    inner = brain & (np.abs(scaled[0]) < 1)
    np.testing.assert_allclose(back[0][inner], volumes[0][inner], rtol=1e-5)
    assert np.all(back[:, ~brain] == 0.0)


def test_negative_intensities_are_scaled_like_others(volumes, brain):
    shifted = np.where(brain, volumes - 500, 0.0)
    np.testing.assert_allclose(
        fit(shifted, brain).apply(shifted, brain), fit(volumes, brain).apply(volumes, brain),
        atol=1e-5,
    )  # fmt: skip


def test_one_extreme_voxel_does_not_change_the_scale(volumes, brain):
    spiked = volumes.copy()
    spiked[0, 2, 8, 8] = 1e6
    assert fit(spiked, brain, percentiles=(1, 99)).high[0] < 900


def test_constant_contrast_is_refused_by_name(volumes, brain):
    volumes[1] = np.where(brain, 7.0, 0.0)
    with pytest.raises(ValueError, match="contrast t2f.*constant"):
        fit(volumes, brain)


def test_nan_in_the_brain_is_refused_by_name(volumes, brain):
    volumes[0, 2, 8, 8] = np.nan
    with pytest.raises(ValueError, match="contrast t1n: 1 voxels are NaN"):
        fit(volumes, brain)


def test_empty_brain_is_refused(volumes, brain):
    with pytest.raises(ValueError, match="brain mask is empty"):
        fit(volumes, np.zeros_like(brain))


@pytest.mark.parametrize("pair", [(99.0, 1.0), (-1.0, 99.0), (0.5, 101.0), (1.0,)])
def test_impossible_percentiles_are_refused(volumes, brain, pair):
    with pytest.raises(ValueError, match="percentiles"):
        fit(volumes, brain, percentiles=pair)


def test_scale_survives_plain_builtins(volumes, brain):
    scale = fit(volumes, brain)
    assert IntensityScale.from_dict(scale.as_dict()) == scale


def test_selected_contrasts_keep_their_range(volumes, brain):
    scale = fit(volumes, brain)
    assert scale.select(["t2f"]).low == (scale.low[1],)


def test_brain_is_where_any_contrast_is_not_zero(volumes, brain):
    first, second = volumes.copy()
    first[:, :10], second[:, 10:] = 0, 0
    assert np.array_equal(brain_mask(np.stack([first, second])), brain)


def test_negative_voxels_are_brain(volumes, brain):
    assert np.array_equal(brain_mask(np.where(brain, -np.abs(volumes) - 1, 0)), brain)


def test_holes_are_filled(volumes, brain):
    volumes[:, 2:4, 8:10, 8:10] = 0
    assert np.array_equal(brain_mask(volumes), brain)


def test_gap_open_to_the_outside_in_3d_stays_open(volumes, brain):
    volumes[:, 1:3, 8:10, 8:10] = 0  # reaches the lowest brain slice
    assert not brain_mask(volumes)[1:3, 8:10, 8:10].any()


def test_no_brain_is_refused():
    with pytest.raises(ValueError, match="no brain"):
        brain_mask(np.zeros((2, 4, 4, 4)))


def test_background_that_is_not_zero_is_refused(volumes, brain):
    with pytest.raises(ValueError, match="background"):
        brain_mask(volumes - 3.0)

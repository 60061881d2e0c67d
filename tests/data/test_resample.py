from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mechlearn.data.resample import axis_weights, resample_plane


def test_step_one_is_the_identity():
    assert np.array_equal(axis_weights(7, 7, start=0.0, step=1.0), np.eye(7, dtype=np.float32))


@pytest.mark.parametrize("step", [0.4, 1.0, 1.5, 2.7])
def test_rows_inside_the_input_sum_to_one(step):
    weights = axis_weights(5, 60, start=20.3, step=step)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)


def test_outside_the_input_there_is_nothing():
    assert axis_weights(3, 10, start=-20.0, step=1.0).sum() == 0.0


@pytest.mark.parametrize("step", [0.5, 1.5])
def test_a_ramp_stays_a_ramp(step):
    at = 10.0 + step * np.arange(8)
    weights = axis_weights(8, 40, start=10.0, step=step)
    np.testing.assert_allclose(weights @ np.arange(40.0), at, atol=0.12 * (step > 1) + 1e-5)


def test_agrees_with_torch_antialiased_interpolation():
    image = np.random.default_rng(0).random((30, 30), np.float32)
    weights = axis_weights(20, 30, start=0.25, step=1.5)
    ours = resample_plane(image[None], weights, weights)[0]
    theirs = functional.interpolate(
        torch.from_numpy(image)[None, None], size=(20, 20), mode="bilinear", antialias=True
    )[0, 0].numpy()
    np.testing.assert_allclose(ours[1:-1, 1:-1], theirs[1:-1, 1:-1], atol=1e-5)


def test_sparse_product_equals_dense():
    volume = np.random.default_rng(1).random((2, 3, 12, 9), np.float32)
    rows, columns = (axis_weights(7, n, start=0.4, step=1.2) for n in (12, 9))
    np.testing.assert_allclose(
        resample_plane(volume, rows, columns), rows @ volume @ columns.T, atol=1e-6
    )

"""Random fields and operators of the phantom's box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mechlearn.phantom.fields import (
    Grid,
    SplineField,
    gaussian,
    inverse_laplacian_gradient,
    sample,
)


def test_field_means_the_same_on_a_crop_of_the_grid() -> None:
    field, whole = SplineField(np.random.default_rng(1), 20), Grid(4.0)
    crop = whole.crop(np.array([40.0, 20, 12]), np.array([90.0, 100, 60]))
    part = tuple(slice(a, a + n) for a, n in zip(crop.low, crop.shape, strict=True))
    torch.testing.assert_close(field.on(crop)[0], field.on(whole)[0][part])


def test_field_has_unit_variance() -> None:
    values = SplineField(np.random.default_rng(2), 10).on(Grid(4.0))
    assert float(values.std()) == pytest.approx(1.0, abs=0.05)


def test_gaussian_keeps_a_constant() -> None:
    flat = torch.full((9, 8, 7), 3.0)
    torch.testing.assert_close(gaussian(flat, 1.5), flat)


def test_sample_at_voxel_centres_returns_the_volume() -> None:
    volume = torch.rand(2, 5, 6, 7)
    index = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in (5, 6, 7)), indexing="ij"))
    torch.testing.assert_close(sample(volume, index), volume, atol=1e-5, rtol=0)


def test_pull_moves_content_along_the_displacement() -> None:
    grid = Grid(4.0).crop(np.array([40.0, 40, 40]), np.array([80.0, 80, 80]))
    volume = torch.zeros(1, *grid.shape)
    volume[0, 4, 5, 5] = 1
    displacement = torch.zeros(3, *grid.shape)
    displacement[0] = 8.0  # two voxels to the right
    assert float(grid.pull(volume, displacement)[0, 6, 5, 5]) == pytest.approx(1, abs=1e-4)


def test_displacement_has_the_source_as_divergence() -> None:
    x = torch.cos(2 * torch.pi * torch.arange(32.0) / 32)
    source = x[:, None, None] * x[None, :, None] * x[None, None, :]
    d = inverse_laplacian_gradient(source, 2.0)
    inner = (slice(2, -2),) * 3
    divergence = sum(torch.gradient(d[i], dim=i, spacing=2.0)[0] for i in range(3))
    torch.testing.assert_close(divergence[inner], source[inner], atol=0.02, rtol=0)

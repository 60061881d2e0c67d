"""Smooth random fields and volume operators on the phantom's box.

A field is a cubic B-spline of random control points in millimetres, so it does not depend on the
voxel size. Volumes are float32 tensors (..., X, Y, Z); coordinates are in mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

__all__ = [
    "BOX_MM", "FIELD_MM", "Grid", "SplineField", "gaussian", "inverse_laplacian_gradient", "sample",
]  # fmt: skip

BOX_MM = (192.0, 192.0, 156.0)
FIELD_MM = (240.0, 240.0, 156.0)  # written field of view: BraTS' 240 x 240 (155) mm


@dataclass(frozen=True)
class Grid:
    """Voxel grid of the box, or of a part of it with first voxel `low` and shape `size`.

    Voxel i of an axis of the whole box is centred at (i + 0.5) * voxel_mm.
    """

    voxel_mm: float
    low: tuple[int, int, int] = (0, 0, 0)
    size: tuple[int, int, int] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        if self.size is not None:
            return self.size
        x, y, z = (round(side / self.voxel_mm) for side in BOX_MM)
        return x, y, z

    def crop(self, low_mm: np.ndarray, high_mm: np.ndarray) -> Grid:
        """The voxels of this grid that cover [low_mm, high_mm), both (3,)."""
        low = np.clip(np.floor(low_mm / self.voxel_mm), 0, None).astype(int)
        high = np.minimum(np.ceil(high_mm / self.voxel_mm).astype(int), Grid(self.voxel_mm).shape)
        return Grid(self.voxel_mm, tuple(low.tolist()), tuple((high - low).tolist()))

    def in_field(self) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
        """(shape of the written field of view, slices of this grid's voxels in it), in RAS."""
        x, y, z = (round(side / self.voxel_mm) for side in FIELD_MM)
        margin = [(n - m) // 2 for n, m in zip((x, y, z), Grid(self.voxel_mm).shape, strict=True)]
        i, j, k = (slice(m + a, m + a + n)
                   for m, a, n in zip(margin, self.low, self.shape, strict=True))
        return (x, y, z), (i, j, k)

    def points(self) -> torch.Tensor:
        """Voxel centres in mm, (3, X, Y, Z)."""
        axes = [(torch.arange(n, dtype=torch.float32) + 0.5 + a) * self.voxel_mm
                for n, a in zip(self.shape, self.low, strict=True)]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def pull(self, volume: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
        """Volume (C, X, Y, Z) after a displacement d (3, X, Y, Z) in mm: its values at x - d."""
        index = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in self.shape),
                               indexing="ij")
        end = torch.tensor(self.shape).view(3, 1, 1, 1) - 1
        source = torch.stack(index) - displacement / self.voxel_mm
        return sample(volume, torch.minimum(source.clamp_min(0), end))


@lru_cache(maxsize=256)
def _spline_matrix(axis: int, grid: Grid, spacing_mm: float) -> torch.Tensor:
    """Cubic B-spline weights, (n, control points), of the voxel centres along an axis."""
    voxel = torch.arange(grid.shape[axis], dtype=torch.float64) + 0.5 + grid.low[axis]
    u = voxel * grid.voxel_mm / spacing_mm
    knots = torch.arange(_n_control(BOX_MM[axis], spacing_mm), dtype=torch.float64) - 1
    distance = (u[:, None] - knots[None]).abs()
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = (2 - distance).clamp_min(0) ** 3 / 6
    return torch.where(distance < 1, inner, outer).float()


def _n_control(side_mm: float, spacing_mm: float) -> int:
    return math.ceil(side_mm / spacing_mm - 1e-6) + 3


def _along_axes(volume: torch.Tensor, matrices: list[torch.Tensor]) -> torch.Tensor:
    """Apply one matrix an axis: (..., A, B, C) -> (..., X, Y, Z)."""
    volume = torch.einsum("xa,...abc->...xbc", matrices[0], volume)
    volume = torch.einsum("yb,...xbc->...xyc", matrices[1], volume)
    return volume @ matrices[2].T


class SplineField:
    """`channels` smooth random fields with variance of about 1 and length scale `spacing_mm`."""

    # Variance of a cubic B-spline over independent unit control points, per axis.
    _VARIANCE_PER_AXIS = 0.4794

    def __init__(self, rng: np.random.Generator, spacing_mm: float, channels: int = 1) -> None:
        shape = (channels, *(_n_control(side, spacing_mm) for side in BOX_MM))
        scale = self._VARIANCE_PER_AXIS**-1.5
        self.spacing_mm = spacing_mm
        self.control = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32) * scale)

    def on(self, grid: Grid) -> torch.Tensor:
        """Values on a grid, (channels, X, Y, Z)."""
        matrices = [_spline_matrix(axis, grid, self.spacing_mm) for axis in range(3)]
        return _along_axes(self.control, matrices)


@lru_cache(maxsize=64)
def _gaussian_matrix(n: int, sigma: float) -> torch.Tensor:
    i = torch.arange(n, dtype=torch.float32)
    weights = torch.exp(-0.5 * ((i[:, None] - i[None]) / sigma) ** 2)
    return weights / weights.sum(1, keepdim=True)


def gaussian(volume: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of the last three axes, sigma in voxels, renormalised at the border."""
    if sigma < 0.15:
        return volume
    return _along_axes(volume, [_gaussian_matrix(n, round(sigma, 3)) for n in volume.shape[-3:]])


def sample(volume: torch.Tensor, voxels: torch.Tensor) -> torch.Tensor:
    """Trilinear values of volume (C, X, Y, Z) at fractional voxel indices (3, ...); 0 outside."""
    size = torch.tensor(volume.shape[-3:], dtype=torch.float32)
    unit = 2 * voxels.flatten(1).T / (size - 1) - 1
    grid = unit.flip(-1).reshape(1, *voxels.shape[1:], 3)  # grid_sample needs the last axis first
    return F.grid_sample(volume[None], grid, align_corners=True, padding_mode="zeros")[0]


def inverse_laplacian_gradient(source: torch.Tensor, voxel_mm: float) -> torch.Tensor:
    """Curl-free displacement in mm, (3, X, Y, Z), with div d = source (X, Y, Z); periodic."""
    spectrum = torch.fft.rfftn(source)
    k = [2 * math.pi * torch.fft.fftfreq(n, voxel_mm) for n in source.shape[:2]]
    k.append(2 * math.pi * torch.fft.rfftfreq(source.shape[2], voxel_mm))
    kx, ky, kz = torch.meshgrid(*k, indexing="ij")
    square = (kx**2 + ky**2 + kz**2).clamp_min(1e-12)
    potential = -spectrum / square
    potential[0, 0, 0] = 0
    shape = list(source.shape)
    return torch.stack([torch.fft.irfftn(1j * axis * potential, s=shape) for axis in (kx, ky, kz)])

"""Anatomy of a phantom patient: the MNI152 template with a random affine map and warp.

The template (T1, grey and white matter, brain mask at 1 mm) is part of nilearn's wheel; nothing is
downloaded. Arrays are RAS: x to the right, y to the front, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from mechlearn.data.template_tissue import walls
from mechlearn.phantom.fields import (
    BOX_MM,
    Grid,
    SplineField,
    inverse_laplacian_gradient,
    sample,
)

__all__ = ["Anatomy", "Atlas", "Tissues", "barriers", "load_atlas", "pontine_centre"]

MAX_AXIAL_MM = 184.0  # the grid of the models is 192 x 192 mm


@dataclass(frozen=True)
class Atlas:
    """Template channels (C, X, Y, Z) at 1 mm and `origin`, the MNI coordinate of voxel 0."""

    channels: torch.Tensor  # grey, white, CSF, T1 residual, soft mask, ventricles
    ventricle_push: torch.Tensor  # (3, X, Y, Z) mm: displacement that widens the ventricles by 1
    origin: torch.Tensor  # (3,)

    def at(self, mni: torch.Tensor) -> torch.Tensor:
        """Channels at MNI coordinates (3, ...)."""
        return sample(self.channels, mni - self.origin.view(3, 1, 1, 1))


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Read the template; cached."""
    from nilearn import datasets  # slow import, only needed here

    image = datasets.load_mni152_template(resolution=1)
    volumes = [image, datasets.load_mni152_gm_template(resolution=1),
               datasets.load_mni152_wm_template(resolution=1),
               datasets.load_mni152_brain_mask(resolution=1)]
    crop = (slice(16, 182), slice(16, 220), slice(0, 166))
    t1, grey, white, mask = (np.asarray(v.dataobj, np.float32)[crop] for v in volumes)
    csf = np.clip(1 - grey - white, 0, 1) * mask
    inside = mask > 0
    design = np.stack([grey[inside], white[inside], csf[inside]], 1)
    means, *_ = np.linalg.lstsq(design, t1[inside], rcond=None)
    residual = np.where(inside, t1 - grey * means[0] - white * means[1] - csf * means[2], 0)
    origin = image.affine[:3, 3] + np.array([s.start for s in crop])
    ventricles = _ventricles(csf, mask, origin)
    soft_mask = ndimage.gaussian_filter(mask, 1.2)
    channels = np.stack([grey, white, csf, residual, soft_mask, ventricles]).astype(np.float32)
    blurred = torch.from_numpy(ndimage.gaussian_filter(ventricles, 2.0))
    push = inverse_laplacian_gradient(blurred, 1.0)
    return Atlas(torch.from_numpy(channels), push.float(), torch.from_numpy(origin).float())


def _ventricles(csf: np.ndarray, mask: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Soft map of lateral and third ventricles: deep CSF in the middle of the brain."""
    depth = ndimage.distance_transform_edt(mask)
    x, y, z = (np.arange(n) + o for n, o in zip(csf.shape, origin, strict=True))
    lateral = np.where(y < -5, 34, 24)[None, :, None]
    box = (np.abs(x)[:, None, None] < lateral) & ((z > -22) & (z < 34))[None, None]
    box = box & ((y > -58) & (y < 38))[None, :, None]
    found = (csf > 0.5) & box & (depth > 24)
    found = ndimage.binary_dilation(ndimage.binary_opening(found), iterations=2)
    return (csf * found).astype(np.float32)


@dataclass(frozen=True)
class Tissues:
    """Tissue maps of one patient on one grid, (X, Y, Z) each; the three add up to 1."""

    grey: torch.Tensor
    white: torch.Tensor
    csf: torch.Tensor
    residual: torch.Tensor  # T1 of the template minus its fit by the three tissues
    brain: torch.Tensor  # bool
    ventricles: torch.Tensor
    mni: torch.Tensor  # (3, X, Y, Z) template coordinate of each voxel

    @property
    def conducting(self) -> torch.Tensor:
        """White matter and the brainstem, which has nuclei between tracts."""
        x, y, z = self.mni
        stem = (x.abs() < 19) & (y > -43) & (y < -12) & (z > -58) & (z < -8)
        return self.white + self.grey * stem


class Anatomy:
    """Map from patient to template coordinates, and tissue maps on any grid."""

    def __init__(self, rng: np.random.Generator, *, child: bool = False) -> None:
        self._draw_affine(rng, child)
        self._warps = [(SplineField(rng, spacing, 3), amplitude * rng.uniform(0.7, 1.2))
                       for spacing, amplitude in ((64, 4.5), (32, 2.4), (16, 1.3), (9, 0.55))]
        self._ventricle_gain = float(rng.uniform(-0.35, 0.1) if child else rng.uniform(-0.3, 0.75))
        self._tissue_bias = SplineField(rng, 14, 2)
        atrophy = 0.1 if child else 0.45
        self._bias_mean = rng.normal((atrophy, 0.0), (0.3, 0.15)).astype(np.float32)
        self._edge = SplineField(rng, 7)
        self._shift = torch.zeros(3, 1, 1, 1)
        self._fit_into_box()

    def _draw_affine(self, rng: np.random.Generator, child: bool) -> None:
        size = 0.95 if child else 1.0
        scale = rng.uniform((0.90, 0.87, 0.87), (1.06, 0.99, 0.99)) * size
        angle = np.deg2rad(rng.normal(0, (4.0, 2.5, 3.5)))
        c, s = np.cos(angle), np.sin(angle)
        turn_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
        turn_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
        turn_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
        shear = np.eye(3) + np.triu(rng.normal(0, 0.025, (3, 3)), 1)
        flip = np.diag([rng.choice([-1.0, 1.0]), 1, 1])
        self._to_mni = torch.from_numpy(flip @ turn_x @ turn_y @ turn_z @ shear
                                        @ np.diag(1 / scale)).float()

    def _fit_into_box(self) -> None:
        """Centre the brain, and shrink it if it is larger than the field of view of the models."""
        limit = np.array([MAX_AXIAL_MM, MAX_AXIAL_MM, BOX_MM[2] - 5])
        for _ in range(3):
            low, high = self.extent_mm()
            offset = (low + high) / 2 - np.array(BOX_MM) / 2
            self._shift += torch.from_numpy(offset).float().view(3, 1, 1, 1)
            excess = float(((high - low - 8) / limit).max())
            if excess > 1:
                self._to_mni = self._to_mni * (excess + 0.01)

    def extent_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (3,), (3,) of a box around the brain, with a margin."""
        brain = self.tissues(Grid(4.0)).brain.numpy()
        found = [np.flatnonzero(brain.any(axis)) for axis in ((1, 2), (0, 2), (0, 1))]
        low = np.array([f[0] for f in found]) * 4.0
        high = np.array([f[-1] + 1 for f in found]) * 4.0
        return low - 4, high + 4

    def to_mni(self, points: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Template coordinates of the points (3, X, Y, Z) of a grid."""
        centre = torch.tensor(BOX_MM).view(3, 1, 1, 1) / 2
        mni = torch.einsum("ij,jxyz->ixyz", self._to_mni, points - centre + self._shift)
        mni = mni + torch.tensor([0.0, -18.0, 5.0]).view(3, 1, 1, 1)  # middle of the template brain
        for warp, amplitude in self._warps:
            mni = mni + amplitude * warp.on(grid)
        atlas = load_atlas()
        push = sample(atlas.ventricle_push, mni - atlas.origin.view(3, 1, 1, 1))
        return mni - self._ventricle_gain * push

    def tissues(self, grid: Grid, *, displacement: torch.Tensor | None = None) -> Tissues:
        """Tissue maps; a `displacement` (3, X, Y, Z) in mm moves tissue from x - d to x."""
        mni = self.to_mni(grid.points(), grid)
        mean = torch.from_numpy(self._bias_mean).view(2, 1, 1, 1)
        bias = self._tissue_bias.on(grid) * 0.35 + mean
        edge = self._edge.on(grid)[0]
        if displacement is not None:
            moved = grid.pull(torch.cat([mni, bias]), displacement)
            mni, bias = moved[:3], moved[3:]
        grey, white, csf, residual, mask, ventricles = load_atlas().at(mni)
        brain = mask + 0.16 * edge.clamp(-2, 2) > 0.5
        weights = _sharpen(torch.stack([grey, white, csf]), bias)
        inside = brain.float()
        return Tissues(weights[0] * inside, weights[1] * inside, weights[2] * inside,
                       residual * inside, brain, ventricles * inside, mni)


def _sharpen(prior: torch.Tensor, bias: torch.Tensor, power: float = 2.4) -> torch.Tensor:
    """Tissue maps of one brain from population averages: a softmax of scaled logarithms plus bias.

    bias (2, ...): smooth random log-odds of CSF (sulcal width) and white matter (cortical
    thickness).
    """
    log = power * (prior + 0.01).log()
    log[2] += bias[0]
    log[1] += bias[1]
    return torch.softmax(log, 0)


def pontine_centre(rng: np.random.Generator) -> np.ndarray:
    """MNI coordinate of a seed in the pons, (3,)."""
    return np.array([0.0, -27.0, -32.0]) + rng.normal(0, (3.5, 2.0, 3.5))


def barriers(tissues: Tissues) -> torch.Tensor:
    """Barriers to cells: falx and tentorium, (X, Y, Z) bool, defined in template coordinates."""
    x, y, z = tissues.mni
    return walls(x, y, z, tissues.white)

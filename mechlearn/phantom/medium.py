"""Reaction-diffusion in brain tissue: diffusion tensor, proliferation, and one explicit step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mechlearn.phantom.anatomy import Tissues, barriers
from mechlearn.phantom.fields import Grid, SplineField, gaussian
from mechlearn.phantom.phantom_spec import TumourParameters

__all__ = ["Medium", "MediumBox", "step"]

_GREY_DIFFUSIVITY = 0.1  # relative to white matter


class MediumBox(NamedTuple):
    """A crop of the medium, ready for `step`."""

    faces: list[torch.Tensor]  # diffusivity between neighbours along each axis
    mixed: list[torch.Tensor]  # xy, xz, yz of the diffusion tensor
    rho: torch.Tensor
    voxel_mm: float

    @property
    def largest_step_days(self) -> float:
        """Longest stable explicit step."""
        return 0.45 * self.voxel_mm**2 / (float(sum(f.max() for f in self.faces)) + 1e-9)


class Medium:
    """Diffusion tensor and proliferation rate on the growth grid."""

    def __init__(self, tissues: Tissues, p: TumourParameters, rng: np.random.Generator,
                 grid: Grid) -> None:
        spread = SplineField(rng, 18, 2).on(grid) * p.heterogeneity
        passable = tissues.brain & (tissues.csf < 0.6) & ~barriers(tissues)
        base = tissues.conducting + _GREY_DIFFUSIVITY * tissues.grey
        base = base * passable * p.diffusivity * spread[0].clamp(-1.5, 0.9).exp()
        self.rho = p.growth_rate * spread[1].clamp(-1.5, 1.2).exp() * passable
        self.passable = passable
        self.voxel_mm = grid.voxel_mm
        self.tensor = base * _along_tracts(tissues.white, p.anisotropy, rng, grid)

    def crop(self, box: tuple[slice, ...]) -> MediumBox:
        """Crop to a box; face diffusivities are harmonic means, which are 0 at a barrier."""
        tensor = self.tensor[(slice(None), *box)]
        faces = []
        for axis in range(3):
            n = tensor.shape[1 + axis] - 1
            a, b = tensor[axis].narrow(axis, 0, n), tensor[axis].narrow(axis, 1, n)
            faces.append(2 * a * b / (a + b + 1e-9))
        return MediumBox(faces, list(tensor[3:]), self.rho[box], self.voxel_mm)


def _along_tracts(white: torch.Tensor, anisotropy: float, rng: np.random.Generator,
                  grid: Grid) -> torch.Tensor:
    """Relative diffusion tensor (6, X, Y, Z): xx, yy, zz, xy, xz, yz; trace 3 where isotropic.

    Tracts run along sheets of constant white matter (minor axes of its structure tensor) and follow
    a smooth random direction within them.
    """
    smooth = gaussian(white, 1.2)
    gradient = torch.stack(torch.gradient(smooth))
    normal = gradient / (gradient.norm(dim=0) + 0.02)
    tract = SplineField(rng, 40, 3).on(grid)
    tract = tract - (tract * normal).sum(0) * normal
    tract = tract / (tract.norm(dim=0) + 0.1)
    pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    along = torch.stack([tract[i] * tract[j] for i, j in pairs])
    round_part = torch.zeros(6, 1, 1, 1)
    round_part[:3] = 1 - anisotropy
    return round_part + 3 * anisotropy * along


def step(
    u: torch.Tensor, dying: torch.Tensor | None, medium: MediumBox, dt: float
) -> torch.Tensor:
    """One explicit step of du/dt = div(D grad u) + rho u (1 - u - v) on a crop, dt in days."""
    faces, mixed, rho, h = medium
    rate = torch.zeros_like(u)
    for axis, d in enumerate(faces):
        n = u.shape[axis] - 1
        flux = d * (u.narrow(axis, 1, n) - u.narrow(axis, 0, n)) / h**2
        rate.narrow(axis, 0, n).add_(flux)
        rate.narrow(axis, 1, n).sub_(flux)
    rate += _mixed_terms(u, mixed, h) * (rho > 0)  # 0 in barriers
    room = 1 - u if dying is None else 1 - u - dying
    rate += rho * u * room
    return (u + dt * rate).clamp_(0, 1)


def _mixed_terms(u: torch.Tensor, mixed: list[torch.Tensor], h: float) -> torch.Tensor:
    """Divergence of the flux across the axes, by central differences."""
    gx, gy, gz = (_central(u, axis, h) for axis in range(3))
    xy, xz, yz = mixed
    flux = (xy * gy + xz * gz, xy * gx + yz * gz, xz * gx + yz * gy)
    return _central(flux[0], 0, h) + _central(flux[1], 1, h) + _central(flux[2], 2, h)


def _central(f: torch.Tensor, axis: int, h: float) -> torch.Tensor:
    """Central difference per mm; 0 at the ends, where there are no cells."""
    n = f.shape[axis] - 2
    result = torch.zeros_like(f)
    inside = result.narrow(axis, 1, n)
    torch.sub(f.narrow(axis, 2, n), f.narrow(axis, 0, n), out=inside)
    return result.mul_(0.5 / h)

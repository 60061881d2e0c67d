"""A tumour grown in 3D by reaction-diffusion, with what a plain Fisher-KPP model lacks.

    du/dt = div(D grad u) + rho u (1 - u - v),    v: dying cells after radiotherapy

D follows white matter tracts, stops at CSF, falx, tentorium and skull, and varies in space as rho
does; seeds are several and late ones join; radiotherapy turns the share 1 - S(x) of u into v, which
decays by the growth law's exact solution; the visible limit of oedema drifts in space and time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mechlearn.data.phantom.anatomy import Anatomy, Tissues, barriers, pontine_centre
from mechlearn.data.phantom.fields import (
    Grid,
    SplineField,
    gaussian,
    inverse_laplacian_gradient,
    sample,
)
from mechlearn.data.phantom.paint import TumourMaps
from mechlearn.data.phantom.spec import Course, TumourParameters

__all__ = ["Tumour", "VisitState", "dying_share"]

GROWTH_MM = 2.4
_CORE_DENSITY = 0.45
_GREY_DIFFUSIVITY = 0.1  # of white matter's


def dying_share(tau: float, p: TumourParameters) -> float:
    """Share of the dying cells left tau days after radiotherapy began (SCIENCE, section 3, `ode`)."""
    def log_cosh(x: float) -> float:
        return abs(x) + float(np.log1p(np.exp(-2 * abs(x)))) - float(np.log(2))

    change = log_cosh(p.slope * (tau - p.delay)) - log_cosh(p.slope * p.delay)
    return float(np.exp(-p.decay_rate / p.slope * change))


@dataclass(frozen=True)
class VisitState:
    """Tumour at one visit on the growth grid: density (X, Y, Z) and the drift of its limit."""

    day: int
    density: torch.Tensor
    drift: torch.Tensor


class _Medium:
    """Diffusivity tensor and proliferation on the growth grid, cropped to where cells can come."""

    def __init__(self, tissues: Tissues, p: TumourParameters, rng: np.random.Generator,
                 grid: Grid) -> None:
        spread = SplineField(rng, 18, 2).on(grid) * p.heterogeneity
        passable = tissues.brain & (tissues.csf < 0.6) & ~barriers(tissues)
        base = tissues.white + _GREY_DIFFUSIVITY * tissues.grey
        base = base * passable * p.diffusivity * spread[0].clamp(-1.5, 0.9).exp()
        self.rho = p.growth_rate * spread[1].clamp(-1.5, 1.2).exp() * passable
        self.passable = passable
        self.tensor = base * _along_tracts(tissues.white, p.anisotropy, rng, grid)

    def faces(self, box: tuple[slice, ...]) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Face diffusivities a axis (harmonic mean: a wall stays a wall) and mixed terms."""
        tensor = self.tensor[(slice(None), *box)]
        faces = []
        for axis in range(3):
            n = tensor.shape[1 + axis] - 1
            a, b = tensor[axis].narrow(axis, 0, n), tensor[axis].narrow(axis, 1, n)
            faces.append(2 * a * b / (a + b + 1e-9))
        return faces, list(tensor[3:]), self.rho[box]


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


def _step(u: torch.Tensor, dying: torch.Tensor | None, medium: tuple, dt: float) -> torch.Tensor:
    """One explicit step of the equation above on a cropped box."""
    faces, mixed, rho = medium
    rate = torch.zeros_like(u)
    for axis, d in enumerate(faces):
        n = u.shape[axis] - 1
        flux = d * (u.narrow(axis, 1, n) - u.narrow(axis, 0, n)) / GROWTH_MM**2
        rate.narrow(axis, 0, n).add_(flux)
        rate.narrow(axis, 1, n).sub_(flux)
    rate += _mixed_terms(u, mixed)
    room = 1 - u if dying is None else 1 - u - dying
    rate += rho * u * room
    return (u + dt * rate).clamp_(0, 1)


def _mixed_terms(u: torch.Tensor, mixed: list[torch.Tensor]) -> torch.Tensor:
    """Divergence of the flux across the axes, by central differences."""
    gx, gy, gz = (_central(u, axis) for axis in range(3))
    xy, xz, yz = mixed
    flux = (xy * gy + xz * gz, xy * gx + yz * gz, xz * gx + yz * gy)
    return _central(flux[0], 0) + _central(flux[1], 1) + _central(flux[2], 2)


def _central(f: torch.Tensor, axis: int) -> torch.Tensor:
    """Central difference per mm; 0 at the ends, where a box holds no cells."""
    n = f.shape[axis] - 2
    result = torch.zeros_like(f)
    inside = result.narrow(axis, 1, n)
    torch.sub(f.narrow(axis, 2, n), f.narrow(axis, 0, n), out=inside)
    return result.mul_(0.5 / GROWTH_MM)


class Tumour:
    """Grow one patient's tumour and read its compartments off at the visits."""

    def __init__(self, anatomy: Anatomy, kind: str, parameters: TumourParameters,
                 rng: np.random.Generator) -> None:
        self.kind, self.parameters, self._rng = kind, parameters, rng
        self.grid = Grid(GROWTH_MM)
        self.tissues = anatomy.tissues(self.grid)
        self.medium = _Medium(self.tissues, parameters, rng, self.grid)
        self.seeds = self._draw_seeds()
        self._survival = SplineField(rng, 14)
        self._limit = SplineField(rng, 8, 3)
        self._limit_coarse = SplineField(rng, 20, 3)
        self._vasogenic = float(rng.uniform(0.5, 1.0))

    # -- seeds -----------------------------------------------------------------------------------
    def _draw_seeds(self) -> list[tuple[int, int, int]]:
        p, rng = self.parameters, self._rng
        if self.kind == "DMG":
            distance = (self.tissues.mni - torch.from_numpy(pontine_centre(rng)).float()
                        .view(3, 1, 1, 1)).norm(dim=0)
            first = np.unravel_index(int(distance.argmin()), self.grid.shape)
        else:
            x, y, z = self.tissues.mni
            home = (self.tissues.white > 0.6) & (x.abs() > 13) & (z > -14) & (z < 52)
            home &= ((y > -62) | (z > 2)) & (gaussian(self.tissues.brain.float(), 4.0) > 0.8)
            places = torch.nonzero(home & self.medium.passable)
            first = tuple(places[int(rng.integers(len(places)))].tolist())
        seeds = [tuple(int(i) for i in first)]
        for _ in range(p.n_satellites):
            seeds += self._near(seeds[0], p.satellite_mm)
        return seeds

    def _near(self, place: tuple[int, int, int], distance_mm: float) -> list[tuple[int, int, int]]:
        """A passable white-matter voxel about a distance away; none where there is no such voxel."""
        points = self.grid.points()
        centre = points[(slice(None), *place)].view(3, 1, 1, 1)
        away = (points - centre).norm(dim=0)
        same_side = self.tissues.mni[0] * float(self.tissues.mni[(0, *place)]) > -50
        fits = (away > 0.6 * distance_mm) & (away < 1.4 * distance_mm) & same_side
        places = torch.nonzero(fits & self.medium.passable & (self.tissues.white > 0.4))
        if not len(places):
            return []
        return [tuple(places[int(self._rng.integers(len(places)))].tolist())]

    def _plant(self, u: torch.Tensor, seed: tuple[int, int, int], strength: float) -> None:
        points = self.grid.points() - self.grid.points()[(slice(None), *seed)].view(3, 1, 1, 1)
        blob = strength * torch.exp(-(points**2).sum(0) / (2 * 3.0**2))
        torch.maximum(u, blob * self.medium.passable, out=u)

    # -- growth ----------------------------------------------------------------------------------
    def states(self, course: Course) -> list[VisitState]:
        """The tumour at every visit of the course."""
        u = torch.zeros(self.grid.shape)
        for i, seed in enumerate(self.seeds):
            self._plant(u, seed, 0.8 if i == 0 else float(self._rng.uniform(0.1, 0.8)))
        u = self._grow_to_first_visit(u)
        drift = self._drift(course)
        late = self._late_foci(course)
        states, day, v0, rt = [], 0, None, course.rt_start_day
        stops = sorted({*course.days, *late, *([rt] if rt is not None else [])})
        for stop in stops:
            if stop > course.days[-1]:
                break
            u = self._advance(u, day, stop, v0, rt)
            day = stop
            if stop in late:
                self._seed_late_focus(u)
            if stop == rt:
                living = self._surviving()
                v0, u = u * (1 - living), u * living
            if stop in course.days:
                v = 0 if v0 is None else v0 * dying_share(stop - rt, self.parameters)
                states.append(VisitState(stop, (u + v).clamp(0, 1), drift[course.days.index(stop)]))
        return states

    def _grow_to_first_visit(self, u: torch.Tensor) -> torch.Tensor:
        """Grow until the visible volume is the drawn one and a core shows (at most three years)."""
        target = self.parameters.volume_cm3 * 1000 / GROWTH_MM**3
        level = 10 ** (np.log10(_CORE_DENSITY) - self.parameters.oedema_reach)
        white_enough = self.tissues.white > 0.35
        for _ in range(110):
            core = u > _CORE_DENSITY
            visible = int((((u > level) & white_enough) | core).sum())
            if visible > 2 * target or (visible > target and int(core.sum()) > 0.08 * target):
                break
            u = self._advance(u, 0, 10, None, None)
        return u

    def _advance(self, u: torch.Tensor, day: float, stop: float, v0: torch.Tensor | None,
                 rt: int | None) -> torch.Tensor:
        """Explicit steps from a day to another, on a box a little wider than the cells' support."""
        if stop <= day:
            return u
        support = torch.nonzero(u > 1e-5)
        low = (support.min(0).values - 10).clamp_min(0).tolist()
        high = (support.max(0).values + 11).tolist()
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        medium = self.medium.faces(box)
        largest = float(sum(f.max() for f in medium[0])) + 1e-9
        steps = max(1, int(np.ceil((stop - day) / min(4.0, 0.45 * GROWTH_MM**2 / largest))))
        part, dt = u[box], (stop - day) / steps
        for i in range(steps):
            dying = None
            if v0 is not None and rt is not None:
                dying = v0[box] * dying_share(day + i * dt - rt, self.parameters)
            part = _step(part, dying, medium, dt)
        u = u.clone()
        u[box] = part
        return u

    def _surviving(self) -> torch.Tensor:
        """Surviving share S(x): logit-normal around the patient's S."""
        s = self.parameters.survival_fraction
        field = self._survival.on(self.grid)[0]
        return torch.sigmoid(float(np.log(s / (1 - s))) + 1.3 * field)

    def _late_foci(self, course: Course) -> set[int]:
        rate = self.parameters.late_foci_per_year * course.days[-1] / 365
        count = int(self._rng.poisson(rate))
        return {int(d) for d in self._rng.integers(0, max(course.days[-1], 1), count)}

    def _seed_late_focus(self, u: torch.Tensor) -> None:
        dense = torch.nonzero(u > 0.2)
        if len(dense):
            edge = tuple(dense[int(self._rng.integers(len(dense)))].tolist())
            reach = float(self._rng.uniform(0.8, 2.0)) * self.parameters.satellite_mm
            for seed in self._near(edge, reach):
                self._plant(u, seed, float(self._rng.uniform(0.3, 0.8)))

    def _drift(self, course: Course) -> list[torch.Tensor]:
        """Visible limit's drift in decades: a smooth field with a memory of about 90 days."""
        fields: list[torch.Tensor] = []
        for i, day in enumerate(course.days):
            fresh = SplineField(self._rng, 22).on(self.grid)[0]
            fresh = (fresh + 0.5 * float(self._rng.standard_normal())) / 1.1
            if i == 0:
                fields.append(fresh)
                continue
            memory = float(np.exp(-(day - course.days[i - 1]) / 90))
            fields.append(memory * fields[-1] + float(np.sqrt(1 - memory**2)) * fresh)
        return [self.parameters.oedema_drift * f for f in fields]

    # -- appearance ------------------------------------------------------------------------------
    def displacement(self, state: VisitState, grid: Grid) -> torch.Tensor:
        """Mass effect in mm on a grid, (3, X, Y, Z): away from the core, none at the skull."""
        p = self.parameters
        source = p.swelling * (state.density - 0.25).clamp_min(0) * 1.3
        push = inverse_laplacian_gradient(gaussian(source, 1.5), GROWTH_MM)
        hold = gaussian(self.tissues.brain.float(), 4.0)
        if self.kind == "DMG":  # the pons swells into the cisterns around it
            hold = torch.where(state.density > 0.02, torch.ones_like(hold), hold)
            hold = gaussian(hold, 2.0)
        push = push * ((hold - 0.5) * 2.4).clamp(0, 1)
        return self._resample(push, grid)

    def _resample(self, volume: torch.Tensor, grid: Grid,
                  displacement: torch.Tensor | None = None) -> torch.Tensor:
        points = grid.points() if displacement is None else grid.points() - displacement
        voxels = (points / GROWTH_MM - 0.5).clamp_min(0)
        return sample(volume, voxels)

    def compartments(self, state: VisitState, tissues: Tissues, grid: Grid,
                     displacement: torch.Tensor) -> TumourMaps:
        """Soft tumour compartments on a grid, where the mass effect has carried them."""
        p = self.parameters
        limits = self._limit.on(self.grid) * 0.75 + self._limit_coarse.on(self.grid) * 0.65
        fields = torch.cat([state.density[None].clamp_min(1e-6).log10(), state.drift[None], limits])
        log_u, drift, *noise = self._resample(fields, grid, displacement)
        log_core = log_u - float(np.log10(_CORE_DENSITY)) + 0.12 * noise[0]
        core = torch.sigmoid(log_core * 22) * (1 - tissues.csf).clamp(0, 1)
        home = 1.1 * (tissues.white - 0.75) - 1.2 * tissues.csf - 0.5 * tissues.grey * self._vasogenic
        limit = log_core + p.oedema_reach + drift + 0.22 * noise[1] + home * 0.9
        oedema = torch.sigmoid(limit * 9) * (1 - tissues.csf).clamp(0, 1)
        inner = gaussian(core, (2.2 + 1.6 * (1 - p.necrosis)) / grid.voxel_mm)
        deep = torch.sigmoid((inner - 1.0 + 0.32 * p.necrosis + 0.10 * noise[2]) * 26)
        necrosis = core * deep * (p.necrosis > 0.15)
        solid = core - necrosis
        bright = torch.sigmoid((noise[1] + 3.2 * (p.enhancement - 0.5)) * 7) if p.enhancement else 0.0
        enhancing = solid * bright
        brain = tissues.brain
        infiltrated = (solid - enhancing) * brain
        if self.kind == "DMG":  # dense infiltration is non-enhancing tumour, only its fringe oedema
            dense = torch.sigmoid((log_core + 0.55 * p.oedema_reach + 0.2 * noise[0]) * 9)
            extra = ((oedema - core).clamp_min(0) * dense) * brain
            infiltrated = infiltrated + extra
        oedema = (oedema - enhancing - necrosis - infiltrated).clamp_min(0) * brain
        return TumourMaps(oedema, enhancing * brain, necrosis * brain, infiltrated)


def labels(maps: TumourMaps, brain: torch.Tensor) -> np.ndarray:
    """Expert-like mask, (X, Y, Z) uint8: 1 necrotic or non-enhancing core, 2 oedema, 3 enhancing."""
    core = torch.stack([maps.necrosis + maps.infiltrated, maps.oedema, maps.enhancing])
    smooth = gaussian(core, 0.6)
    whole = smooth.sum(0) > 0.5
    found = (smooth.argmax(0) + 1) * whole * brain
    result = found.numpy().astype(np.uint8)
    parts, n = ndimage.label(result > 0)
    if n > 1:  # experts leave specks out
        sizes = np.bincount(parts.ravel())
        result[(sizes < 30)[parts]] = 0
    return result

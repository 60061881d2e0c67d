"""Simulation of a tumour in 3D by an extended Fisher-KPP model.

    du/dt = div(D grad u) + rho u (1 - u - v),    v: dying cells after radiotherapy

D is anisotropic along white matter tracts and 0 in CSF, falx, tentorium and skull; D and rho vary
in space. There are several seeds, some of them later. Radiotherapy converts the share 1 - S(x) of u
to v, which decays by the exact solution of the growth model `ode`. The visible limit of oedema
varies in space and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from mechlearn.phantom.anatomy import Anatomy, Tissues, pontine_centre
from mechlearn.phantom.fields import (
    Grid,
    SplineField,
    gaussian,
    inverse_laplacian_gradient,
    sample,
)
from mechlearn.phantom.medium import Medium, step
from mechlearn.phantom.paint import TumourMaps
from mechlearn.phantom.phantom_spec import Course, TumourParameters

__all__ = ["Tumour", "VisitState", "dying_share"]

Voxel = tuple[int, int, int]
GROWTH_MM = 2.4
_CORE_DENSITY = 0.45
_COARSE_DRIFT = 0.2  # relative to the standard deviation of the fine drift


def dying_share(tau: float, p: TumourParameters) -> float:
    """Share of the dying cells that is left tau days after the start of radiotherapy.

    The exact solution of dA/dt = -lambda_decay tanh(s (tau - delta)) A.
    """
    def log_cosh(x: float) -> float:
        return abs(x) + float(np.log1p(np.exp(-2 * abs(x)))) - float(np.log(2))

    change = log_cosh(p.slope * (tau - p.delay)) - log_cosh(p.slope * p.delay)
    return float(np.exp(-p.decay_rate / p.slope * change))


def _voxel(index: Sequence[int]) -> Voxel:
    x, y, z = (int(i) for i in index)
    return x, y, z


@dataclass(frozen=True)
class VisitState:
    """Tumour at one visit on the growth grid: density (X, Y, Z) and drift of its visible limit."""

    day: int
    density: torch.Tensor
    drift: torch.Tensor


class Tumour:
    """Simulation of the tumour of one patient, with its compartments at the visits."""

    def __init__(self, anatomy: Anatomy, kind: str, parameters: TumourParameters,
                 rng: np.random.Generator) -> None:
        self.kind, self.parameters, self._rng = kind, parameters, rng
        self.grid = Grid(GROWTH_MM)
        self.tissues = anatomy.tissues(self.grid)
        self.medium = Medium(self.tissues, parameters, rng, self.grid)
        self.seeds = self._draw_seeds()
        self._survival = SplineField(rng, 14)
        self._limit = SplineField(rng, 8, 3)
        self._limit_coarse = SplineField(rng, 20, 3)
        self._drift_seed = int(rng.integers(2**31))
        self._vasogenic = float(rng.uniform(0.5, 1.0))

    # -- seeds -----------------------------------------------------------------------------------
    def _draw_seeds(self) -> list[Voxel]:
        p, rng = self.parameters, self._rng
        if self.kind == "DMG":
            distance = (self.tissues.mni - torch.from_numpy(pontine_centre(rng)).float()
                        .view(3, 1, 1, 1)).norm(dim=0)
            place = np.unravel_index(int(distance.argmin()), self.grid.shape)
            first = [int(i) for i in place]
        else:
            x, y, z = self.tissues.mni
            home = (self.tissues.white > 0.6) & (x.abs() > 13) & (z > -14) & (z < 52)
            home &= ((y > -62) | (z > 2)) & (gaussian(self.tissues.brain.float(), 4.0) > 0.8)
            places = torch.nonzero(home & self.medium.passable)
            first = places[int(rng.integers(len(places)))].tolist()
        seeds = [_voxel(first)]
        for _ in range(p.n_satellites):
            seeds += self._near(seeds[0], p.satellite_mm)
        return seeds

    def _near(
        self, place: Voxel, distance_mm: float
    ) -> list[Voxel]:
        """A random passable white-matter voxel at about this distance, in a list; [] if none."""
        points = self.grid.points()
        centre = points[(slice(None), *place)].view(3, 1, 1, 1)
        away = (points - centre).norm(dim=0)
        same_side = self.tissues.mni[0] * float(self.tissues.mni[(0, *place)]) > -50
        fits = (away > 0.6 * distance_mm) & (away < 1.4 * distance_mm) & same_side
        places = torch.nonzero(fits & self.medium.passable & (self.tissues.conducting > 0.4))
        if not len(places):
            return []
        return [_voxel(places[int(self._rng.integers(len(places)))].tolist())]

    def _plant(self, u: torch.Tensor, seed: Voxel, strength: float) -> None:
        points = self.grid.points() - self.grid.points()[(slice(None), *seed)].view(3, 1, 1, 1)
        blob = strength * torch.exp(-(points**2).sum(0) / (2 * 3.0**2))
        torch.maximum(u, blob * self.medium.passable, out=u)

    # -- growth ----------------------------------------------------------------------------------
    def states(self, course: Course) -> list[VisitState]:
        """The tumour at every visit of the course."""
        u = torch.zeros(self.grid.shape)
        for i, seed in enumerate(self.seeds):
            self._plant(u, seed, 0.8 if i == 0 else float(self._rng.uniform(0.1, 0.8)))
        return self.follow(self._grow_to_first_visit(u), course)

    def follow(self, u: torch.Tensor, course: Course) -> list[VisitState]:
        """The tumour at the visits of a course, from the living density `u` (X, Y, Z) on day 0."""
        drift = self.drift(course)
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
            if rt is not None and stop == rt:
                living = self._surviving()
                v0, u = u * (1 - living), u * living
            if stop in course.days:
                v: torch.Tensor | float = 0.0
                if v0 is not None and rt is not None:
                    v = v0 * dying_share(stop - rt, self.parameters)
                states.append(VisitState(stop, (u + v).clamp(0, 1), drift[course.days.index(stop)]))
        return states

    def _grow_to_first_visit(self, u: torch.Tensor) -> torch.Tensor:
        """Grow until the visible volume is `volume_cm3` and a core exists; at most three years."""
        target = self.parameters.volume_cm3 * 1000 / GROWTH_MM**3
        level = 10 ** (np.log10(_CORE_DENSITY) - self.parameters.oedema_reach)
        white_enough = self.tissues.conducting > 0.35
        for _ in range(110):
            core = u > _CORE_DENSITY
            visible = int((((u > level) & white_enough) | core).sum())
            if visible > 2 * target or (visible > target and int(core.sum()) > 0.08 * target):
                break
            u = self._advance(u, 0, 10, None, None)
        return u

    def _advance(self, u: torch.Tensor, day: float, stop: float, v0: torch.Tensor | None,
                 rt: int | None) -> torch.Tensor:
        """Explicit steps from one day to another, on a box around all cells."""
        if stop <= day:
            return u
        support = torch.nonzero(u > 1e-5)
        low = (support.min(0).values - 10).clamp_min(0).tolist()
        high = (support.max(0).values + 11).tolist()
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        medium = self.medium.crop(box)
        steps = max(1, int(np.ceil((stop - day) / min(4.0, medium.largest_step_days))))
        part, dt = u[box], (stop - day) / steps
        for i in range(steps):
            dying = None
            if v0 is not None and rt is not None:
                dying = v0[box] * dying_share(day + i * dt - rt, self.parameters)
            part = step(part, dying, medium, dt)
        u = u.clone()
        u[box] = part
        return u

    def _surviving(self) -> torch.Tensor:
        """Surviving share S(x), logit-normal around the patient's S."""
        s = self.parameters.survival_fraction
        field = self._survival.on(self.grid)[0]
        return torch.sigmoid(float(np.log(s / (1 - s))) + 0.8 * field)

    def _late_foci(self, course: Course) -> set[int]:
        rate = self.parameters.late_foci_per_year * course.days[-1] / 365
        count = int(self._rng.poisson(rate))
        return {int(d) for d in self._rng.integers(0, max(course.days[-1], 1), count)}

    def _seed_late_focus(self, u: torch.Tensor) -> None:
        dense = torch.nonzero(u > 0.2)
        if len(dense):
            edge = _voxel(dense[int(self._rng.integers(len(dense)))].tolist())
            reach = float(self._rng.uniform(0.8, 2.0)) * self.parameters.satellite_mm
            for seed in self._near(edge, reach):
                self._plant(u, seed, float(self._rng.uniform(0.3, 0.8)))

    def drift(self, course: Course) -> list[torch.Tensor]:
        """Drift of the visible limit in decades at each visit: smooth fields, correlated in time.

        It models changes of oedema by steroids and treatment, and differences between readers. The
        coarse part moves a side of the tumour; the fine part moves the edge by 1 to 2 mm.
        """
        rng = np.random.default_rng(self._drift_seed)
        fields: list[torch.Tensor] = []
        for i, day in enumerate(course.days):
            coarse, fine = (SplineField(rng, mm).on(self.grid)[0] for mm in (24, 7))
            fresh = _COARSE_DRIFT * (coarse + 0.4 * float(rng.standard_normal())) + fine
            memory = float(np.exp(-(day - course.days[i - 1]) / 90)) if i else 0.0
            kept = memory * fields[-1] if i else 0.0
            fields.append(kept + float(np.sqrt(1 - memory**2)) * fresh)
        return [self.parameters.oedema_drift * f for f in fields]

    # -- appearance ------------------------------------------------------------------------------
    def displacement(self, state: VisitState, grid: Grid) -> torch.Tensor:
        """Mass effect in mm on a grid, (3, X, Y, Z): away from the core, 0 at the skull."""
        p = self.parameters
        source = p.swelling * (state.density - 0.25).clamp_min(0) * 1.3
        push = inverse_laplacian_gradient(gaussian(source, 1.5), GROWTH_MM)
        hold = gaussian(self.tissues.brain.float(), 4.0)
        if self.kind == "DMG":  # the pons can expand into the cisterns
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
        """Soft tumour compartments on a grid, displaced by the mass effect."""
        p = self.parameters
        limits = self._limit.on(self.grid) * 0.75 + self._limit_coarse.on(self.grid) * 0.65
        fields = torch.cat([state.density[None].clamp_min(1e-6).log10(), state.drift[None], limits])
        log_u, drift, *noise = self._resample(fields, grid, displacement)
        log_core = log_u - float(np.log10(_CORE_DENSITY)) + 0.12 * noise[0] + 0.3 * drift
        core = torch.sigmoid(log_core * 22) * (1 - tissues.csf).clamp(0, 1)
        conducting = tissues.conducting
        grey = 1 - conducting - tissues.csf
        spared = 1.2 * tissues.csf + 0.5 * grey * self._vasogenic
        home = 1.1 * (conducting - 0.75) - spared
        limit = log_core + p.oedema_reach + 0.7 * drift + 0.22 * noise[1] + home * 0.9
        oedema = torch.sigmoid(limit * 9) * (1 - tissues.csf).clamp(0, 1)
        inner = gaussian(core, (2.2 + 1.6 * (1 - p.necrosis)) / grid.voxel_mm)
        deep = torch.sigmoid((inner - 1.0 + 0.32 * p.necrosis + 0.10 * noise[2]) * 26)
        necrosis = core * deep * (p.necrosis > 0.15)
        solid = core - necrosis
        bright = torch.sigmoid((noise[1] + 3.2 * (p.enhancement - 0.5)) * 7)
        enhancing = solid * bright * (p.enhancement > 0)
        brain = tissues.brain
        infiltrated = (solid - enhancing) * brain
        if self.kind == "DMG":  # dense infiltration is non-enhancing tumour; its border is oedema
            edge = log_core + 0.55 * p.oedema_reach + 0.7 * drift + 0.2 * noise[0]
            dense = torch.sigmoid(edge * 9) * brain
            infiltrated = infiltrated + (oedema - core).clamp_min(0) * dense
        oedema = (oedema - enhancing - necrosis - infiltrated).clamp_min(0) * brain
        return TumourMaps(oedema, enhancing * brain, necrosis * brain, infiltrated)


def labels(maps: TumourMaps, brain: torch.Tensor) -> np.ndarray:
    """Label map, (X, Y, Z) uint8: 1 core without enhancement, 2 oedema, 3 enhancing."""
    core = torch.stack([maps.necrosis + maps.infiltrated, maps.oedema, maps.enhancing])
    smooth = gaussian(core, 0.6)
    whole = smooth.sum(0) > 0.5
    found = (smooth.argmax(0) + 1) * whole * brain
    result = found.numpy().astype(np.uint8)
    parts, n = ndimage.label(result > 0)
    if n > 1:  # remove small components, as experts do
        sizes = np.bincount(parts.ravel())
        result[(sizes < 30)[parts]] = 0
    return result

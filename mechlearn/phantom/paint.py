"""Synthetic MRI of four contrasts from tissue and tumour maps, with scale, bias, blur and noise.

Tissue intensities, textures and vessels are random for each patient and equal at all visits; scale,
bias field and noise are random for each visit, as in real follow-up scans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mechlearn.phantom.anatomy import Tissues
from mechlearn.phantom.fields import Grid, SplineField, gaussian
from mechlearn.records import CONTRASTS

__all__ = ["Look", "TumourMaps"]

# Mean intensity of each tissue, white matter of T1 = 1. Columns: t1n, t1c, t2w, t2f.
_MEANS = {
    "white": (1.00, 0.98, 0.40, 0.50),
    "grey": (0.76, 0.82, 0.52, 0.60),
    "csf": (0.34, 0.34, 1.25, 0.17),
    "oedema": (0.74, 0.76, 0.92, 0.98),
    "enhancing": (0.72, 1.75, 0.78, 0.84),
    "necrosis": (0.48, 0.52, 1.12, 0.62),
    "infiltrated": (0.66, 0.68, 0.95, 0.95),  # non-enhancing solid tumour
}
_SPREAD = {"white": 0.03, "grey": 0.04, "csf": 0.12, "oedema": 0.08, "enhancing": 0.12,
           "necrosis": 0.14, "infiltrated": 0.08}
# Weight of the template's T1 residual in each contrast: the sign differs between T1 and T2.
_RESIDUAL = (0.9, 0.8, -0.55, -0.35)


@dataclass(frozen=True)
class TumourMaps:
    """Soft tumour compartments of one visit, (X, Y, Z) each in [0, 1], together at most 1."""

    oedema: torch.Tensor
    enhancing: torch.Tensor
    necrosis: torch.Tensor
    infiltrated: torch.Tensor


class Look:
    """Intensities and textures of one patient."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng_seed = int(rng.integers(2**31))
        self.means = {name: np.array(values) * (1 + _SPREAD[name] * rng.standard_normal(4))
                      for name, values in _MEANS.items()}
        contrast = rng.uniform(0.8, 1.15, 4)  # grey-white contrast differs between sequences
        gap = self.means["grey"] - self.means["white"]
        self.means["grey"] = self.means["white"] + gap * contrast
        lesion = rng.uniform(0.8, 1.15)  # brightness of the lesion on T2 and FLAIR
        for name in ("oedema", "infiltrated"):
            for c in (2, 3):
                base = self.means["white"][c]
                self.means[name][c] = base + (self.means[name][c] - base) * lesion
        self._textures = [SplineField(rng, 4, 4), SplineField(rng, 9, 4), SplineField(rng, 22, 4)]
        self._cached: tuple[Grid, torch.Tensor] | None = None
        self._vessel_fields = SplineField(rng, 13, 2)
        self._vessel_gain = float(rng.uniform(0.5, 1.1))
        self._choroid = SplineField(rng, 5)
        self._cap = float(rng.gamma(2.0, 0.08))  # periventricular bright caps on FLAIR
        self._lesions = SplineField(rng, 10)
        self._lesion_level = float(rng.uniform(2.4, 4.0))
        lowest, highest = np.log((350, 350, 400, 400)), np.log((1800, 1800, 2200, 1600))
        self.scales = np.exp(rng.uniform(lowest, highest))
        self._noise = rng.uniform(0.008, 0.022, 4)
        self._blur = rng.uniform(0.25, 0.6, 4)

    def paint(self, tissues: Tissues, tumour: TumourMaps, grid: Grid, *, visit: int,
              displacement: torch.Tensor | None = None) -> np.ndarray:
        """Four contrasts of one visit, (4, X, Y, Z) int16: 0 outside the brain, >= 1 inside."""
        rng = np.random.default_rng([self._rng_seed, visit])
        texture = self._texture(grid)  # not displaced, because resampling would blur it
        extras = torch.cat([self._vessel_fields.on(grid), self._choroid.on(grid),
                            self._lesions.on(grid)])
        if displacement is not None:
            extras = grid.pull(extras, displacement)
        vessels = self._vessels(tissues, extras)
        healthy = {"white": tissues.white, "grey": tissues.grey, "csf": tissues.csf}
        lesion = {name: getattr(tumour, name) for name in TumourMaps.__dataclass_fields__}
        share = 1 - sum(lesion.values())
        white_spots, caps = self._white_matter_change(tissues, extras[3], grid)
        volumes = []
        for c in range(len(CONTRASTS)):
            fine, middle, coarse = texture[c], texture[4 + c], texture[8 + c]
            image = sum(w * float(self.means[n][c]) for n, w in healthy.items())
            image = image + _RESIDUAL[c] * tissues.residual * (1 - tissues.csf)
            image = image * (1 + (0.022 * fine + 0.016 * middle) * (1 - 0.6 * tissues.csf))
            if c >= 2:
                change = (caps + 0.45 * white_spots) * tissues.white
                image = image + change * float(self.means["oedema"][c] - self.means["white"][c])
            image = image * share
            for name, weight in lesion.items():
                rough = 0.05 * fine + (0.05 if name == "oedema" else 0.10) * middle + 0.06 * coarse
                image = image + weight * float(self.means[name][c]) * (1 + rough)
            image = self._add_vessels(image, vessels, c)
            volumes.append(self._scan(image, tissues.brain, grid, c, rng))
        return np.stack(volumes)

    def _texture(self, grid: Grid) -> torch.Tensor:
        """Fine, middle and coarse texture of each contrast, (12, X, Y, Z), equal at all visits."""
        if self._cached is None or self._cached[0] != grid:
            self._cached = (grid, torch.cat([field.on(grid) for field in self._textures]))
        return self._cached[1]

    def _vessels(self, tissues: Tissues, extras: torch.Tensor) -> torch.Tensor:
        """Vessels in sulci and cortex (where two random fields are both near 0), sinus, plexus."""
        tubes = torch.exp(-(extras[0] ** 2 + extras[1] ** 2) / 0.02)
        x, y, z = tissues.mni
        depth = gaussian(tissues.brain.float(), 4.0)
        home = (0.75 * tissues.csf + 0.5 * tissues.grey + 0.06) * (1 - tissues.ventricles)
        sinus = torch.exp(-((x / 3.2) ** 2)) * ((depth < 0.62) & ((z > 15) | (y < -70)))
        plexus = tissues.ventricles * (extras[2] > 0.9) * (y < -10)
        return (tubes * home * 1.2 + 0.9 * sinus + 0.8 * plexus).clamp(0, 1) * tissues.brain

    def _add_vessels(self, image: torch.Tensor, vessels: torch.Tensor, c: int) -> torch.Tensor:
        bright = (1.0, 1.9, 0.3, 0.35)[c]  # flow void on T2 and FLAIR, contrast agent on t1c
        weight = vessels * (self._vessel_gain if c == 1 else 0.25)
        return image + weight.clamp(0, 1) * (bright - image)

    def _white_matter_change(
        self, tissues: Tissues, field: torch.Tensor, grid: Grid
    ) -> tuple[torch.Tensor, torch.Tensor]:
        spots = torch.sigmoid((field - self._lesion_level) * 8) * tissues.white
        near = gaussian(tissues.ventricles, 4.0 / grid.voxel_mm)
        return spots, (near * 2.5).clamp(0, 1) * self._cap

    def _scan(self, image: torch.Tensor, brain: torch.Tensor, grid: Grid, c: int,
              rng: np.random.Generator) -> np.ndarray:
        """Point spread, bias field, Rician noise, scale, brain extraction."""
        image = gaussian(image, float(self._blur[c]) * 1.5 / grid.voxel_mm)
        bias = SplineField(rng, 90).on(grid)[0] * 0.05
        image = image * (1 + bias)
        sigma = float(self._noise[c]) * float(rng.uniform(0.8, 1.25))
        noise = torch.from_numpy(rng.standard_normal((2, *grid.shape), dtype=np.float32)) * sigma
        image = ((image + noise[0]) ** 2 + noise[1] ** 2).sqrt()
        scale = float(self.scales[c] * rng.uniform(0.9, 1.1))
        return ((image * scale).clamp(1, 32000) * brain).numpy().astype(np.int16)

"""The reference's way of making a growth map, on our own parts, to be read in one go.

One target at a time, batch 1, float32, all NL levels: DDIM inversion of the scan from level 0 to
NL, then NL guided steps back with the guide's gradient at every one; what changed, binarised by
Otsu inside the brain; the mean over targets. Nothing is shared between targets.

Where the code behind the paper's figures differs from its text we keep to ours, in both ways alike:
the levels of inversion and denoising match (its own are off by one: 199 steps for NL = 200), the
target is not boosted, x0 is not clipped, and the gradient may be smoothed for a stemmed guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mechlearn.diffusion.guidance import (
    Guide,
    fraction_and_gradient,
    guided_epsilon,
    smooth_gradient,
)
from mechlearn.diffusion.sampler import EpsilonModel
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import ddim_step
from mechlearn.spatial.otsu_map import ChangeFloor, binarise, change_map

__all__ = ["ReferenceWay"]


@dataclass(frozen=True)
class ReferenceWay:
    """Denoiser, guide and settings of the reference's loop.

    Attributes:
        nl: noise level the scan is encoded to; all levels up to it are visited.
        scale: s_ct as applied, after pixel ratio and gain.
        smooth_px: of the guide's gradient; 0 as in the paper.
    """

    denoiser: EpsilonModel
    guide: Guide
    schedule: NoiseSchedule
    nl: int = 200
    scale: float = 50_000.0
    smooth_px: float = 0.0
    device: str = "cpu"

    def _at(self, l: int) -> tuple[Tensor, Tensor]:
        """(level (1,), alpha_bar) on the device."""
        return torch.tensor([l], device=self.device), self.schedule.alpha_bar(l).to(self.device)

    @torch.no_grad()
    def invert(self, x0: Tensor) -> Tensor:
        """DDIM inversion to level NL, (1, C, H, W): each step by the noise its end's level sees."""
        x = x0
        for l in range(1, self.nl + 1):
            (level, alpha_bar_to), (_, alpha_bar) = self._at(l), self._at(l - 1)
            epsilon = self.denoiser(x, level)
            x = ddim_step(x, epsilon, alpha_bar=alpha_bar, alpha_bar_to=alpha_bar_to)
        return x

    @torch.no_grad()
    def denoise(self, x: Tensor, *, target: float, brain: Tensor) -> Tensor:
        """NL guided steps back to the image, eqs. (1) and (2), (1, C, H, W)."""
        for l in range(self.nl, 0, -1):
            (level, alpha_bar), (_, alpha_bar_to) = self._at(l), self._at(l - 1)
            epsilon = self.denoiser(x, level)
            fraction, gradient = fraction_and_gradient(self.guide, x, level, brain=brain)
            gradient = smooth_gradient(gradient, self.smooth_px)
            epsilon = guided_epsilon(
                epsilon, gradient, alpha_bar=alpha_bar, scale=self.scale * (target - fraction)
            )
            x = ddim_step(x, epsilon, alpha_bar=alpha_bar, alpha_bar_to=alpha_bar_to)
        return torch.where(brain > 0, x, -1.0)

    def generate(self, x0: np.ndarray, target: float, *, brain: np.ndarray) -> np.ndarray:
        """One image (C, H, W) with a tumour of `target` of the brain's area."""
        image = torch.from_numpy(x0).to(self.device).float()[None]
        mask = torch.from_numpy(brain).to(self.device).float()[None, None]
        made = self.denoise(self.invert(image), target=target, brain=mask)
        return np.asarray(made[0].cpu().numpy())

    def growth_map(
        self,
        x0: np.ndarray,
        targets: Sequence[float],
        *,
        brain: np.ndarray,
        floor: ChangeFloor | float = 0.0,
    ) -> np.ndarray:
        """Share of the targets whose generation changes a pixel, (H, W) in [0, 1].

        Args:
            x0: (C, H, W) in [-1, 1]. brain: (H, W) bool.
            targets: tumour over brain area.
            floor: change that does not count; 0 is the paper's bare Otsu.
        """
        votes = np.zeros(brain.shape)
        for target in targets:
            made = self.generate(x0, target, brain=brain)
            change = change_map(x0, made, brain=brain, median_px=1)
            votes += binarise(change, brain=brain, floor=floor)
        return votes / len(targets)

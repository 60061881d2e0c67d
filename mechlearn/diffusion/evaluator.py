"""Evaluation of denoiser and guide in the sampler: precision, memory format, counted calls."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import torch
from torch import Tensor

from mechlearn.diffusion.guidance import Guide, fraction_and_gradient
from mechlearn.diffusion.schedule import NoiseSchedule

__all__ = ["EpsilonModel", "Evaluator"]


class EpsilonModel(Protocol):
    """Predicted noise: x_l (B, C, H, W) and l (B,) in 1..L -> epsilon (B, C, H, W)."""

    def __call__(self, x_l: Tensor, l: Tensor) -> Tensor: ...


class Evaluator:
    """Denoiser and guide, evaluated for batches at one level.

    `evaluations` counts images: `denoiser`, `gradients` of the guide, and `readings` of the guide
    without a gradient.
    """

    def __init__(
        self,
        denoiser: EpsilonModel,
        guide: Guide,
        schedule: NoiseSchedule,
        *,
        device: torch.device,
        bf16: bool = False,
    ) -> None:
        self._denoiser = denoiser
        self.guide, self.schedule, self.device, self.bf16 = guide, schedule, device, bf16
        self.evaluations: Counter[str] = Counter()

    def alpha_bar(self, l: int) -> Tensor:
        """Cumulative signal, a scalar on the device."""
        return self.schedule.alpha_bar(l).to(self.device)

    def _level(self, l: int, x: Tensor) -> Tensor:
        return torch.full((x.shape[0],), l, device=self.device)

    def epsilon(self, x: Tensor, l: int) -> Tensor:
        """Predicted noise at level l, (B, C, H, W), in the precision of x."""
        self.evaluations["denoiser"] += x.shape[0]
        inner = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            out = self._denoiser(inner, self._level(l, x))
        return out.to(x.dtype)

    def fraction(self, x: Tensor, l: int, brain: Tensor) -> Tensor:
        """R, (B,)."""
        self.evaluations["readings"] += x.shape[0]
        with torch.no_grad():
            return self.guide.fraction(x, self._level(l, x), brain)

    def fraction_gradient(self, x: Tensor, l: int, brain: Tensor) -> tuple[Tensor, Tensor]:
        """`fraction_and_gradient`, counted."""
        self.evaluations["gradients"] += x.shape[0]
        return fraction_and_gradient(self.guide, x, self._level(l, x), brain=brain)

"""Guidance of the paper, eq. (2): towards a target size, by the gradient of the guide."""

from __future__ import annotations

import torch
from torch import Tensor

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.encoding import Encoding
from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.guidance import guided_epsilon, smooth_gradient
from mechlearn.diffusion.sampler_spec import SamplerSpec

__all__ = ["PaperGuidance"]


class PaperGuidance:
    """epsilon' = epsilon - s_R sqrt(1 - alpha_bar) grad R(x_l, l),  s_R = s_ct (target - R).

    With `dynamic=False`, s_R = s_ct. The gradient is smoothed over `smooth_px` (0 in the paper).

    Args:
        models: denoiser and guide. spec: settings. target: target sizes. encoding: of the image.
        scale: s_ct for this grid, see `guidance.effective_scale`; 0 for no guidance.
    """

    def __init__(
        self, models: Evaluator, spec: SamplerSpec, target: BatchTarget, encoding: Encoding,
        scale: float,
    ) -> None:  # fmt: skip
        self.models, self.spec, self.target, self.encoding = models, spec, target, encoding
        self.scale = scale

    def __call__(self, k: int, x: Tensor, epsilon: Tensor) -> Tensor:
        """Guided epsilon, (B, C, H, W), at the k-th visited level."""
        l = self.encoding.levels[k]
        if self.scale == 0:
            return epsilon
        predicted, gradient = self.models.fraction_gradient(x, l, self.target.brain)
        gap = self.target.boosted(l, self.spec.target_boost) - predicted
        scale = self.scale * (gap if self.spec.dynamic else torch.ones_like(gap))
        return guided_epsilon(
            epsilon, smooth_gradient(gradient, self.spec.smooth_px).to(x.dtype),
            alpha_bar=self.models.alpha_bar(l), scale=scale.to(x.dtype),
        )  # fmt: skip

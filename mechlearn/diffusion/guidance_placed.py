"""Guidance towards a size and a place: each pixel moves by its own gap to a target mask."""

from __future__ import annotations

import torch
from torch import Tensor

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.encoding import Encoding
from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.guidance import guided_epsilon, smooth_gradient
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.steps import col, predict_x0

__all__ = ["PlacedGuidance"]

FAINT = 0.25  # share of the steepest gradient below which a pixel's direction is mostly rounding


class PlacedGuidance:
    """epsilon' = epsilon - s sqrt(alpha_bar / (1 - alpha_bar)) G |m - p| g / |g|.

    p is the segmenter's mask, m the target mask, g the gradient of log p(m | x_l), G a Gaussian
    mean over `smooth_px`. The step moves the predicted x0 of a pixel by s G |m - p|, so that a
    pixel that has reached its target is left alone. m is the tumour of the requested size in the
    arrival order, plus what p at the encoded reference differs from the reference's own mask:
    the segmenter's error at this level cancels.

    Where tumour retreats, the step leads to the tissue without tumour, because the segmenter's
    gradient vanishes before the tumour has fully retreated.

    Args:
        scale: s, 1 for `sampler.scale=50k`; 0 leaves epsilon as it is.
    """

    def __init__(
        self, models: Evaluator, spec: SamplerSpec, target: BatchTarget, encoding: Encoding,
        scale: float,
    ) -> None:  # fmt: skip
        self.models, self.spec, self.target, self.encoding = models, spec, target, encoding
        self.scale = scale

    def __call__(self, k: int, x: Tensor, epsilon: Tensor) -> Tensor:
        """Guided epsilon, (B, C, H, W), at the k-th visited level."""
        l, target, spec = self.encoding.levels[k], self.target, self.spec
        if self.scale == 0 or l <= spec.guide_above:
            return epsilon
        mask = target.mask(target.boosted(l, spec.target_boost))
        at_reference = self.encoding.mask(k, target.brain)
        wanted = (at_reference + mask - target.present()).clamp(0, 1)
        predicted, gradient = self.models.mask_gradient(x, l, target.brain, wanted)
        gap = (wanted - predicted) * target.brain
        direction = _unit(smooth_gradient(gradient, spec.smooth_px))
        step = direction * smooth_gradient(gap.abs(), spec.smooth_px)
        if target.tissue is not None:
            step = self._or_to_tissue(target.tissue, mask, step, x, epsilon, l)
        alpha_bar = self.models.alpha_bar(l)
        strength = self.scale * alpha_bar.sqrt() / (1 - alpha_bar)
        scale = torch.ones_like(target.fraction).to(x.dtype) * strength
        return guided_epsilon(epsilon, step.to(x.dtype), alpha_bar=alpha_bar, scale=scale)

    def _or_to_tissue(
        self, tissue: Tensor, mask: Tensor, step: Tensor, x: Tensor, epsilon: Tensor, l: int
    ) -> Tensor:
        """Step of the predicted x0, (B, C, H, W): all the way to the tissue outside the mask."""
        leaving = smooth_gradient(self.target.present() * (1 - mask), self.spec.smooth_px)
        x0 = predict_x0(x, epsilon, alpha_bar=self.models.alpha_bar(l))
        beyond = max(self.scale, 1.0)  # a scale above 1 would step beyond the tissue
        return step * (1 - leaving) + (tissue - x0) / beyond * leaving


def _unit(gradient: Tensor) -> Tensor:
    """Direction of each pixel's gradient over contrasts, (B, C, H, W).

    Shorter where the gradient is faint beside the steepest: there it is largely rounding, which
    depends on the number of threads (without it images differ by 2e-3 between one and two).
    """
    length = gradient.square().sum(1, keepdim=True).sqrt()
    steepest = length.flatten(1).amax(1)
    return gradient / (length + FAINT * col(steepest) + 1e-30)

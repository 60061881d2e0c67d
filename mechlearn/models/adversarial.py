"""Adversarial training of a guide, so that its gradient changes the tumour in the image.

Small, invisible perturbations can change the prediction of a network that was trained on unchanged
slices, and eq. (2) finds them: the guide predicts its target, but no tumour grows. Training on
adversarial images with unchanged labels (Madry et al. 2018) makes the prediction robust against
small perturbations; its gradients are then perceptually meaningful (Tsipras et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import in_range
from mechlearn.diffusion.guidance import Guide, fraction_and_gradient, smooth_gradient
from mechlearn.diffusion.steps import col

__all__ = ["Adversary"]

STREAM = 3  # random stream of a draw; `diffusion.training_noise` uses 1 and 2


@dataclass(frozen=True)
class Adversary:
    """Adversarial images: one normalised gradient step from a slice.

    Attributes:
        l2: largest L2 norm of a perturbation of an image in [-1, 1]. The norm of each draw is
            uniform in 0..l2, and is scaled to the noise level of x_l. 0: no perturbation. It must
            be much smaller than the L2 change by true growth, which is about 10 for a tumour 1.5
            times as large on 1.5 mm pixels (1.5 times this value on 1 mm pixels).
        smooth_px: half of the draws use the gradient smoothed over this number of pixels, as in
            `sampler.smooth_px`; 0: no smoothing.
        seed: of norms and choices, which are functions of (seed, draw).
    """

    l2: float = 0.0
    smooth_px: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        in_range("model.adversarial_l2", self.l2, 0.0, 1000.0)
        in_range("model.adversarial_smooth_px", self.smooth_px, 0.0, 20.0)

    def worst_near(
        self,
        guide: Guide,
        x_l: Tensor,
        l: Tensor,
        *,
        fraction: Tensor,
        brain: Tensor,
        alpha_bar: Tensor,
        draws: Sequence[int],
    ) -> Tensor:
        """x_l moved so that R is further from the true fraction, (B, C, H, W), detached.

        The gradient is float32 at any precision of the training; the weights get no gradient.

        Args:
            guide: R.
            x_l: (B, C, H, W). l, fraction, alpha_bar: (B,). brain: (B, 1, H, W). draws: B numbers.
        """
        read, gradient = fraction_and_gradient(guide, x_l, l, brain=brain)
        distance, is_smooth = (v.to(x_l.device) for v in self._drawn(draws))
        distance = distance * alpha_bar.sqrt()  # the scale of x0 in x_l
        smooth = smooth_gradient(gradient, self.smooth_px)
        gradient = torch.where(col(is_smooth), smooth, gradient)
        away = torch.where(read < fraction, -1.0, 1.0) * distance
        norm = gradient.flatten(1).norm(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
        return x_l + col(away / norm) * gradient

    def _drawn(self, draws: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Norm of the perturbation, and whether its gradient is smoothed, (B,) each."""
        words = [
            np.random.SeedSequence([self.seed, STREAM, d]).generate_state(2, np.uint64)
            for d in draws
        ]
        at, choice = (np.asarray(words) / 2.0**64).T
        return torch.from_numpy((self.l2 * at).astype(np.float32)), torch.from_numpy(choice < 0.5)

"""Adversarial examples for a guide: a robust guide's gradient points at what a tumour is.

A network that was trained on plain slices can be moved by changes that nobody sees, and eq. (2)
finds them: the guide reports its target and no tumour grows. One that is trained on the worst image
near each slice, its label unchanged (Madry et al. 2018), answers only to changes of some size, and
its gradient lies where these are (Tsipras et al. 2019).
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

STREAM = 3  # of a draw; `diffusion.training_noise` has 1 and 2


@dataclass(frozen=True)
class Adversary:
    """The worst image near a slice, one normalised gradient step away.

    Attributes:
        l2: largest distance, over all pixels and contrasts of an image in [-1, 1]; each draw has
            its own, uniform in 0..l2, and x_l is moved by what that is at its level. 0: no
            adversary. It must be short beside what true growth changes, about 10 for half as much
            tumour again on 1.5 mm pixels; the same change is 1.5 times as long on 1 mm pixels.
        smooth_px: half of the draws are moved along the gradient smoothed over this many pixels, as
            `sampler.smooth_px` does; 0: none of them.
        seed: of distances and choices, which are functions of (seed, draw).
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
        """x_l moved to where R is further from the true fraction, (B, C, H, W), detached.

        The gradient is float32 whatever the precision of training; none reaches the weights.

        Args:
            x_l: (B, C, H, W). l, fraction, alpha_bar: (B,). brain: (B, 1, H, W). draws: B numbers.
        """
        read, gradient = fraction_and_gradient(guide, x_l, l, brain=brain)
        distance, is_smooth = (v.to(x_l.device) for v in self._drawn(draws))
        distance = distance * alpha_bar.sqrt()  # x0 is scaled by so much in x_l
        smooth = smooth_gradient(gradient, self.smooth_px)
        gradient = torch.where(col(is_smooth), smooth, gradient)
        away = torch.where(read < fraction, -1.0, 1.0) * distance
        norm = gradient.flatten(1).norm(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
        return x_l + col(away / norm) * gradient

    def _drawn(self, draws: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Distance and whether the gradient is smoothed, (B,) each."""
        words = [
            np.random.SeedSequence([self.seed, STREAM, d]).generate_state(2, np.uint64)
            for d in draws
        ]
        at, choice = (np.asarray(words) / 2.0**64).T
        return torch.from_numpy((self.l2 * at).astype(np.float32)), torch.from_numpy(choice < 0.5)

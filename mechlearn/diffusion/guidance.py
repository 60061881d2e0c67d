"""Guidance, eq. (2): a tumour-size guide R shifts the predicted noise along its gradient."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from mechlearn.diffusion.steps import col

__all__ = ["Guide", "effective_scale", "fraction_and_gradient", "guided_epsilon"]


class Guide(Protocol):
    """Anything that reads the tumour fraction off a noisy image."""

    def fraction(self, x_l: Tensor, l: Tensor, brain: Tensor) -> Tensor:
        """R(x_l, l): tumour area / brain area, (B,), differentiable in x_l.

        Args:
            x_l: (B, C, H, W). l: (B,) in 0..L. brain: (1, 1, H, W), 0 or 1.
        """
        ...


def effective_scale(scale: float, *, pixel_mm: float, gain: float) -> float:
    """s_ct as applied: the paper's number carried over to this grid and this guide.

    R is an average over the brain's pixels, so its gradient per pixel goes like 1 / (number of
    brain pixels), that is like pixel_mm^2; the paper's grid has 1 mm pixels. `gain` is a property
    of the guide (how steep R is), measured once on validation slices and kept in its checkpoint.
    """
    return scale * gain / pixel_mm**2


def fraction_and_gradient(
    guide: Guide, x_l: Tensor, l: Tensor, *, brain: Tensor
) -> tuple[Tensor, Tensor]:
    """R(x_l, l), (B,), and its gradient in x_l, (B, C, H, W); both float32, detached.

    Members do not interact in R, so the gradient of the sum is each member's own.
    """
    with torch.enable_grad(), torch.autocast(x_l.device.type, enabled=False):
        x = x_l.detach().float().requires_grad_(True)
        fraction = guide.fraction(x, l, brain)
        (gradient,) = torch.autograd.grad(fraction.sum(), x)
    return fraction.detach(), gradient.detach()


def guided_epsilon(
    epsilon: Tensor, gradient: Tensor, *, alpha_bar: Tensor, scale: Tensor
) -> Tensor:
    """Eq. (2): epsilon - s_R sqrt(1 - alpha_bar) grad R, s_R being each member's `scale`, (B,)."""
    return epsilon - col(scale) * (1 - col(alpha_bar)).sqrt() * gradient

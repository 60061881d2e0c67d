"""Guidance, eq. (2): a tumour-size guide R shifts the predicted noise along its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mechlearn.diffusion.steps import col

__all__ = [
    "Guide",
    "effective_scale",
    "fraction_and_gradient",
    "guided_epsilon",
    "smooth_gradient",
]


class Guide(Protocol):
    """A model that predicts the tumour fraction of a noisy image."""

    def fraction(self, x_l: Tensor, l: Tensor, brain: Tensor) -> Tensor:
        """R(x_l, l): tumour area / brain area, (B,), differentiable in x_l.

        Args:
            x_l: (B, C, H, W). l: (B,) in 0..L. brain: (1, 1, H, W), 0 or 1.
        """
        ...


def effective_scale(scale: float, *, pixel_mm: float, gain: float) -> float:
    """s_ct for this grid and this guide, from the value on the paper's scale.

    R is a mean over the brain's pixels, so its gradient per pixel is proportional to 1 / (number of
    brain pixels), that is to pixel_mm^2; the paper's grid has 1 mm pixels. `gain` corrects for the
    norm of the guide's gradient; it is measured on validation slices and stored in the checkpoint.
    """
    return scale * gain / pixel_mm**2


@contextmanager
def _differentiable(*tensors: Tensor) -> Iterator[list[Tensor]]:
    """Copies for autograd, at least float32 if floating; works in inference and no-grad mode."""
    device = tensors[0].device.type
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device, enabled=False):
        yield [
            x.clone().to(torch.promote_types(x.dtype, torch.float32))
            if x.is_floating_point() else x.clone() for x in tensors
        ]  # fmt: skip


def fraction_and_gradient(
    guide: Guide, x_l: Tensor, l: Tensor, *, brain: Tensor
) -> tuple[Tensor, Tensor]:
    """R(x_l, l), (B,), and its gradient in x_l, (B, C, H, W); at least float32, detached.

    R of a member depends only on this member, so the gradient of the sum has the gradients of all.
    """
    with _differentiable(x_l, l, brain) as (x, level, mask):
        x.requires_grad_(True)
        fraction = guide.fraction(x, level, mask)
        (gradient,) = torch.autograd.grad(fraction.sum(), x)
    return fraction.detach(), gradient.detach()


def smooth_gradient(gradient: Tensor, sigma_px: float) -> Tensor:
    """Gaussian mean of the gradient over `sigma_px` pixels, (B, C, H, W); 0: no smoothing.

    The gradient of a network has noise at the scale of pixels (with a pixel-unshuffle stem a
    chequerboard), which raises R without tumour growth. The smoothed gradient is still a direction
    of ascent: the kernel is positive definite, so <smooth(g), g> > 0.
    """
    if sigma_px <= 0:
        return gradient
    reach = max(int(3 * sigma_px + 0.5), 1)
    x = torch.arange(-reach, reach + 1, device=gradient.device, dtype=gradient.dtype)
    kernel = torch.exp(-0.5 * (x / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).expand(gradient.shape[1], 1, 1, -1)
    for weight, padding in ((kernel, (0, reach)), (kernel.transpose(2, 3), (reach, 0))):
        gradient = F.conv2d(gradient, weight, padding=padding, groups=gradient.shape[1])
    return gradient


def guided_epsilon(
    epsilon: Tensor, gradient: Tensor, *, alpha_bar: Tensor, scale: Tensor
) -> Tensor:
    """Eq. (2): epsilon - s_R sqrt(1 - alpha_bar) grad R, s_R being each member's `scale`, (B,)."""
    return epsilon - col(scale) * (1 - col(alpha_bar)).sqrt() * gradient

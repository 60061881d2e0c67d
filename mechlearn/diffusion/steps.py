"""Equations of the diffusion, one a function.

x0, x_l and epsilon are (B, C, H, W); alpha_bar is (B,) or a scalar, in (0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

from mechlearn.diffusion.sampler_spec import SOLVERS

__all__ = [
    "ORDERS",
    "add_noise",
    "clipped_epsilon",
    "ddim_step",
    "posterior_mean",
    "predict_epsilon",
    "predict_x0",
    "second_order",
]

ORDERS = dict(zip(SOLVERS, (1, 2), strict=True))


def col(a: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1), which broadcasts against images."""
    return a.reshape(-1, 1, 1, 1)


def add_noise(x0: Tensor, epsilon: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """q(x_l | x0): sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) epsilon."""
    return col(alpha_bar).sqrt() * x0 + (1 - col(alpha_bar)).sqrt() * epsilon


def predict_x0(x_l: Tensor, epsilon: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """The bracket of eq. (1): the clean image from x_l and epsilon."""
    return (x_l - (1 - col(alpha_bar)).sqrt() * epsilon) / col(alpha_bar).sqrt()


def predict_epsilon(x_l: Tensor, x0: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """The noise from x_l and x0; the inverse of `predict_x0` (alpha_bar < 1)."""
    return (x_l - col(alpha_bar).sqrt() * x0) / (1 - col(alpha_bar)).sqrt()


def clipped_epsilon(x_l: Tensor, epsilon: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """The noise from x_l and the predicted x0, clipped to [-1, 1] (alpha_bar < 1)."""
    x0 = predict_x0(x_l, epsilon, alpha_bar=alpha_bar).clamp(-1, 1)
    return predict_epsilon(x_l, x0, alpha_bar=alpha_bar)


def ddim_step(x_l: Tensor, epsilon: Tensor, *, alpha_bar: Tensor, alpha_bar_to: Tensor) -> Tensor:
    """One deterministic step of eq. (1), sigma_l = 0, from alpha_bar to alpha_bar_to.

    To a lower noise level it denoises; to a higher one it is DDIM inversion (Song et al. 2020).
    """
    x0 = predict_x0(x_l, epsilon, alpha_bar=alpha_bar)
    return add_noise(x0, epsilon, alpha_bar=alpha_bar_to)


def second_order(
    x0: Tensor, x0_before: Tensor, *, alpha_bar_before: Tensor, alpha_bar: Tensor,
    alpha_bar_to: Tensor,
) -> Tensor:
    """Second-order term of DPM-Solver++(2M), which is added to `ddim_step` (Lu et al. 2022,
    algorithm 2).

        -alpha_to (e^-h - 1) h / (2 h_before) (x0 - x0_before),    h: steps in log(alpha / sigma)

    It is 0 at level 0, where log(alpha / sigma) is infinite. Valid in both directions.

    Args:
        x0, x0_before: predictions at alpha_bar and at the previous level.
    """
    if bool((alpha_bar_before >= 1) | (alpha_bar >= 1) | (alpha_bar_to >= 1)):
        return torch.zeros_like(x0)
    before, here, to = (
        0.5 * (a.double().log() - (1 - a.double()).log())
        for a in (alpha_bar_before, alpha_bar, alpha_bar_to)
    )
    h, h_before = to - here, here - before
    weight = -alpha_bar_to.double().sqrt() * torch.expm1(-h) * h / (2 * h_before)
    return col(weight.to(x0.dtype)) * (x0 - x0_before)


def posterior_mean(
    x0: Tensor, x_l: Tensor, *, beta: Tensor, alpha_bar: Tensor, alpha_bar_prev: Tensor
) -> Tensor:
    """Mean of q(x_{l-1} | x_l, x0), Ho et al. 2020 eq. (7)."""
    x0_weight = alpha_bar_prev.sqrt() * beta / (1 - alpha_bar)
    x_l_weight = torch.sqrt(1 - beta) * (1 - alpha_bar_prev) / (1 - alpha_bar)
    return col(x0_weight) * x0 + col(x_l_weight) * x_l

"""The arithmetic of the diffusion: each function is one equation.

Everywhere x0, x_l and epsilon are (B, C, H, W) and alpha_bar is (B,) or a scalar, in (0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["add_noise", "ddim_step", "posterior_mean", "predict_epsilon", "predict_x0"]


def col(a: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1), so that it multiplies images."""
    return a.reshape(-1, 1, 1, 1)


def add_noise(x0: Tensor, epsilon: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """q(x_l | x0): sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) epsilon."""
    return col(alpha_bar).sqrt() * x0 + (1 - col(alpha_bar)).sqrt() * epsilon


def predict_x0(x_l: Tensor, epsilon: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """The bracket of eq. (1): the clean image that x_l and epsilon imply."""
    return (x_l - (1 - col(alpha_bar)).sqrt() * epsilon) / col(alpha_bar).sqrt()


def predict_epsilon(x_l: Tensor, x0: Tensor, *, alpha_bar: Tensor) -> Tensor:
    """The noise that x_l and x0 imply; the inverse of `predict_x0` (alpha_bar < 1)."""
    return (x_l - col(alpha_bar).sqrt() * x0) / (1 - col(alpha_bar)).sqrt()


def ddim_step(x_l: Tensor, epsilon: Tensor, *, alpha_bar: Tensor, alpha_bar_to: Tensor) -> Tensor:
    """One deterministic step of eq. (1), sigma_l = 0, from alpha_bar to alpha_bar_to.

    To a lower noise level it denoises; to a higher one it is DDIM inversion (Song et al. 2020).
    """
    x0 = predict_x0(x_l, epsilon, alpha_bar=alpha_bar)
    return add_noise(x0, epsilon, alpha_bar=alpha_bar_to)


def posterior_mean(
    x0: Tensor, x_l: Tensor, *, beta: Tensor, alpha_bar: Tensor, alpha_bar_prev: Tensor
) -> Tensor:
    """Mean of q(x_{l-1} | x_l, x0), Ho et al. 2020 eq. (7)."""
    of_x0 = alpha_bar_prev.sqrt() * beta / (1 - alpha_bar)
    of_x_l = torch.sqrt(1 - beta) * (1 - alpha_bar_prev) / (1 - alpha_bar)
    return col(of_x0) * x0 + col(of_x_l) * x_l

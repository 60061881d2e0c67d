"""Training losses: the hybrid loss of Nichol & Dhariwal 2021, and those of the two guides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise, col, posterior_mean, predict_x0

__all__ = ["HybridLoss", "area_loss", "hybrid_loss", "segmentation_loss"]

LN2 = math.log(2.0)


@dataclass(frozen=True)
class HybridLoss:
    """Per sample, (B,): mse of epsilon, vlb in bits/dim summed over all L steps (estimate)."""

    mse: Tensor
    vlb: Tensor

    def total(self, vlb_weight: float) -> Tensor:
        """The hybrid loss of each sample, (B,)."""
        return self.mse + vlb_weight * self.vlb


def _mean_flat(x: Tensor, present: Tensor | None) -> Tensor:
    """Mean over pixels and the present contrasts, (B, C, H, W) -> (B,)."""
    if present is None:
        return x.flatten(1).mean(1)
    return (x.flatten(2).mean(2) * present).sum(1) / present.sum(1)


def _gaussian_kl(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """KL(N1 || N2) elementwise, in nats."""
    return 0.5 * (
        -1 + log_var2 - log_var1 + torch.exp(log_var1 - log_var2)
        + (mean1 - mean2) ** 2 * torch.exp(-log_var2)
    )


def _discretised_nll(x: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """-log likelihood of 8-bit data in [-1, 1] under a Gaussian, elementwise, in nats."""
    inv_std = torch.exp(-0.5 * log_var)
    above = torch.special.ndtr((x - mean + 1 / 255) * inv_std)
    below = torch.special.ndtr((x - mean - 1 / 255) * inv_std)
    mass = torch.where(x < -0.999, above, torch.where(x > 0.999, 1 - below, above - below))
    return -torch.log(mass.clamp_min(1e-12))


def interpolated_log_variance(v: Tensor, l: Tensor, *, schedule: NoiseSchedule) -> Tensor:
    """Learned variance, Nichol & Dhariwal eq. (15): v in [-1, 1] spans beta tilde .. beta."""
    low, high = schedule.posterior_variance(l).log(), schedule.beta(l).log()
    share = (v + 1) / 2
    return share * col(high) + (1 - share) * col(low)


def hybrid_loss(
    output: Tensor,
    x0: Tensor,
    epsilon: Tensor,
    *,
    l: Tensor,
    schedule: NoiseSchedule,
    x_l: Tensor | None = None,
    present: Tensor | None = None,
) -> HybridLoss:
    """L_simple and L_vlb of one noised batch.

    Args:
        output: network output at (x_l, l), (B, 2C, H, W): epsilon and the variance v.
        x0, epsilon: clean image and the noise that was added, (B, C, H, W).
        l: noise levels, (B,), in 1..L.
        x_l: the noised image; computed if None.
        present: (B, C) of 0 and 1: contrasts of the loss, at least one an image; None for all.

    The mean is detached in the VLB term, so this term trains only the variance. The sum over all
    levels is estimated from one level, hence the factor L.
    """
    output = output.float()
    predicted, v = output.chunk(2, dim=1)
    alpha_bar, previous = schedule.alpha_bar(l), schedule.alpha_bar(l - 1)
    x_l = add_noise(x0, epsilon, alpha_bar=alpha_bar) if x_l is None else x_l
    weights = {"beta": schedule.beta(l), "alpha_bar": alpha_bar, "alpha_bar_prev": previous}
    x0_hat = predict_x0(x_l, predicted.detach(), alpha_bar=alpha_bar)
    mean = posterior_mean(x0_hat, x_l, **weights)
    log_var = interpolated_log_variance(v, l, schedule=schedule)
    true_mean = posterior_mean(x0, x_l, **weights)
    true_log_var = col(schedule.posterior_variance(l).log()).expand_as(log_var)
    kl = _gaussian_kl(true_mean, true_log_var, mean, log_var)
    nll = _discretised_nll(x0, mean, log_var)
    nats = _mean_flat(torch.where(col(l == 1), nll, kl), present)
    return HybridLoss(
        mse=_mean_flat((predicted - epsilon) ** 2, present), vlb=nats / LN2 * schedule.levels
    )


def area_loss(predicted: Tensor, fraction: Tensor) -> Tensor:
    """Squared error of the tumour fraction, (B,) (section 3.1)."""
    return (predicted.float() - fraction) ** 2


def segmentation_loss(logits: Tensor, tumour: Tensor, *, brain: Tensor) -> Tensor:
    """Binary cross-entropy per brain pixel, (B,).

    Args:
        logits, tumour, brain: (B, 1, H, W); tumour and brain are 0 or 1.

    It is a proper score, so the sum of the probabilities is an unbiased estimate of the area at
    every noise level. A Dice term would bias the area.
    """
    bce = F.binary_cross_entropy_with_logits(logits.float(), tumour, reduction="none")
    return (bce * brain).flatten(1).sum(1) / brain.flatten(1).sum(1).clamp_min(1)

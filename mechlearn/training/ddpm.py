"""The denoiser's training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mechlearn.diffusion.losses import HybridLoss, hybrid_loss
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.training.base import NoisedModule

__all__ = ["DDPMModule"]


class DDPMModule(NoisedModule):
    """Trains epsilon and its variance with the hybrid loss (section 3.1).

    Args:
        vlb_weight: weight of L_vlb, 0.001 in Nichol & Dhariwal.
        options: see NoisedModule.
    """

    lowest_level = 1

    def __init__(
        self,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        vlb_weight: float = 0.001,
        **options: Any,
    ) -> None:
        super().__init__("ddpm", network, schedule=schedule, data=data, **options)
        self.vlb_weight = vlb_weight

    def _loss(self, x0: Tensor, generator: torch.Generator | None = None) -> HybridLoss:
        x_l, l, epsilon = self.noised(x0, generator)
        return hybrid_loss(self.network(x_l, l), x0, epsilon, l=l, schedule=self.schedule)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss = self._loss(batch["image"])
        total = loss.total(self.vlb_weight)
        self.log("train/loss", total, prog_bar=True)
        self.log("train/mse", loss.mse.mean())
        self.log("train/vlb_bits_per_dim", loss.vlb.mean())
        return total

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss = self._loss(batch["image"], self.validation_generator(batch_idx))
        n = batch["image"].shape[0]
        values = {
            "val/loss": loss.total(self.vlb_weight),
            "val/mse": loss.mse.mean(),
            "val/vlb_bits_per_dim": loss.vlb.mean(),
        }
        self.log_dict(values, batch_size=n, sync_dist=True)

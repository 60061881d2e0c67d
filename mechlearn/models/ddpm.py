"""LightningModule of the denoiser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechlearn.diffusion.losses import HybridLoss, hybrid_loss
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import col
from mechlearn.models.label_networks import label_map
from mechlearn.models.noised_module import Noised, NoisedModule
from mechlearn.models.quartiles import Quartiles

__all__ = ["DDPMModule"]

STREAM = 5  # random stream of a draw; see `data.augmentation`


class DDPMModule(NoisedModule):
    """Trains epsilon and its variance with the hybrid loss (section 3.1).

    A network with `classes` has the class of the slice as input (1 with tumour, 0 without), a
    `LabelDenoiser` the label map.

    Args:
        vlb_weight: weight of L_vlb, 0.001 in Nichol & Dhariwal.
        label_dropout: share of training images without label map.
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
        label_dropout: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__("ddpm", network, schedule=schedule, data=data, **options)
        self.vlb_weight, self.label_dropout = vlb_weight, label_dropout
        self.quartiles = Quartiles(schedule.levels, of="mse")

    def _losses(
        self, batch: dict[str, Any], *, validation: bool = False
    ) -> tuple[HybridLoss, Noised]:
        noised = self.noised(batch["image"], batch["draw"], validation=validation)
        conditions = self._conditions(batch, validation=validation)
        loss = hybrid_loss(
            self.network(noised.x_l, noised.l, *conditions), batch["image"], noised.epsilon,
            l=noised.l, x_l=noised.x_l, schedule=self.schedule, present=batch["present"],
        )  # fmt: skip
        return loss, noised

    def _conditions(self, batch: dict[str, Any], *, validation: bool) -> tuple[Tensor, ...]:
        """Conditional inputs of the network: class or label map, or none."""
        if self.card["network"].get("classes"):
            return ((batch["fraction"] > 0).long(),)
        if not hasattr(self.network, "label_channels"):
            return ()
        labels = label_map(batch["labels"], batch["brain"])
        dropout = 0.0 if validation else self.label_dropout
        words = [np.random.default_rng([self.seed, STREAM, d]).random() for d in batch["draw"]]
        kept = torch.tensor([w >= dropout for w in words], device=labels.device)
        return (labels * col(kept),)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss, noised = self._losses(batch)
        total = loss.total(self.vlb_weight)
        weighted = (total * noised.weight).mean()
        values = {
            "train/mse": loss.mse.detach().mean(),
            "train/vlb_bits_per_dim": loss.vlb.detach().mean(),
        }
        self.log("train/loss", weighted.detach(), prog_bar=True, sync_dist=True)
        self.log_dict(values, sync_dist=True)
        self.learn_from(noised.l, total, shown=loss.mse, batch_idx=batch_idx)
        return weighted

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        loss, noised = self._losses(batch, validation=True)
        values = {
            "val/loss": loss.total(self.vlb_weight).mean(),
            "val/mse": loss.mse.mean(),
            "val/vlb_bits_per_dim": loss.vlb.mean(),
        }
        self.log_dict(values, batch_size=len(noised.l), sync_dist=True)

"""Training of the two guides: the paper's regressor and the noise-aware segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mechlearn.checks import one_of
from mechlearn.diffusion.losses import area_loss, segmentation_loss
from mechlearn.diffusion.networks import soft_fraction
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.training.base import NoisedModule

__all__ = ["GuideModule"]


class GuideModule(NoisedModule):
    """Trains R(x_l, l) over all noise levels, clean images included.

    Args:
        kind: `regressor` (MSE on the tumour fraction) or `segmenter` (cross-entropy on the mask,
            whose soft area is the fraction).
    """

    def __init__(
        self,
        kind: str,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        **options: Any,
    ) -> None:
        one_of("model.kind", kind, ("regressor", "segmenter"))
        super().__init__(kind, network, schedule=schedule, data=data, **options)
        self.kind = kind

    def _losses(
        self, batch: dict[str, Tensor], generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """(loss, absolute error of the fraction), each (B,)."""
        x_l, l, _ = self.noised(batch["image"], generator)
        out = self.network(x_l, l)
        if self.kind == "regressor":
            fraction = out.float()
            loss = area_loss(fraction, batch["fraction"])
        else:
            fraction = soft_fraction(out, batch["brain"])
            loss = segmentation_loss(out, batch["tumour"], brain=batch["brain"])
        return loss, (fraction - batch["fraction"]).abs()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        loss, error = self._losses(batch)
        self.log("train/loss", loss.mean(), prog_bar=True)
        self.log("train/fraction_mae", error.detach().mean())
        return loss.mean()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        loss, error = self._losses(batch, self.validation_generator(batch_idx))
        values = {"val/loss": loss.mean(), "val/fraction_mae": error.mean()}
        self.log_dict(values, batch_size=loss.shape[0], sync_dist=True)

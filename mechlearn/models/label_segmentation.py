"""Training of the segmenter of clean images by label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor
from torchmetrics.segmentation import DiceScore

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.label_networks import FOUND_LABELS
from mechlearn.models.noised_module import NoisedModule

__all__ = ["LabelSegmentationModule"]


class LabelSegmentationModule(NoisedModule):
    """Trains a `LabelSegmenter` with the sum of soft Dice and cross-entropy, on clean slices.

    Validation logs the Dice of the whole tumour and of each label over all validation pixels;
    `val/loss` is one less their mean.

    Args:
        options: see NoisedModule; those of noise levels have no effect.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        **options: Any,
    ) -> None:
        super().__init__("label_segmenter", network, schedule=schedule, data=data, **options)
        self.loss = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
        options = {"average": "none", "aggregation_level": "global", "input_format": "index"}
        self.by_label = DiceScore(len(FOUND_LABELS), include_background=False, **options)
        self.whole = DiceScore(2, include_background=False, **options)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss: Tensor = self.loss(self.network(batch["image"]).float(), _wanted(batch)[:, None])
        self.log("train/loss", loss.detach(), prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        found, wanted = self.network(batch["image"]).argmax(1), _wanted(batch)
        self.by_label.update(found, wanted)
        self.whole.update((found > 0).long(), (wanted > 0).long())

    def on_validation_epoch_end(self) -> None:
        of_label, whole = self.by_label.compute().flatten(), self.whole.compute().flatten()
        self.by_label.reset()
        self.whole.reset()
        values = {f"val/dice_{name}": d for name, d in zip(FOUND_LABELS[1:], of_label, strict=True)}
        scores = torch.cat([whole, of_label])
        self.log_dict({"val/loss": 1 - scores.mean(), "val/dice_tumour": whole[0], **values})


def _wanted(batch: dict[str, Any]) -> Tensor:
    """Numbers of `FOUND_LABELS`, (B, H, W) int64; a cavity is none of them."""
    labels: Tensor = batch["labels"].long()
    return torch.where(labels < len(FOUND_LABELS), labels, 0)

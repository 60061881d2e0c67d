"""LightningModule of the denoiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import one_of
from mechlearn.diffusion.losses import HybridLoss, hybrid_loss
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import col
from mechlearn.models.label_inpainting import inpainting_error
from mechlearn.models.label_networks import label_map
from mechlearn.models.noised_module import VALIDATION, Noised, NoisedModule
from mechlearn.models.quartiles import Quartiles

__all__ = ["DDPMModule"]

STREAM = 5  # random stream of a draw; see `data.augmentation`
PARTS = ("denoiser", "inpainter")


class DDPMModule(NoisedModule):
    """Trains epsilon and its variance with the hybrid loss (section 3.1).

    A network with `classes` has the class of the slice as input (1 with tumour, 0 without), a
    `LabelDenoiser` the label map. Its inpainter is trained beside it, on the same images, with the
    error of `label_inpainting`; the two share no weight.

    Args:
        vlb_weight: weight of L_vlb, 0.001 in Nichol & Dhariwal.
        label_dropout: share of training images without label map.
        parts: what is trained, `denoiser`, `inpainter` or both; the rest stays as it is.
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
        parts: Sequence[str] = PARTS,
        **options: Any,
    ) -> None:
        super().__init__("ddpm", network, schedule=schedule, data=data, **options)
        self.vlb_weight, self.label_dropout = vlb_weight, label_dropout
        for part in parts:
            one_of("model.parts", part, PARTS)
        inpainter = getattr(self.network, "inpainter", None)
        self.inpainter = inpainter if "inpainter" in parts else None
        self.denoises = "denoiser" in parts
        if not self.denoises and self.inpainter is None:
            raise ValueError(
                f"model.parts={list(parts)}: nothing is trained. Name denoiser, or inpainter for a "
                "network that has one (model=ddpm_labels)."
            )
        for name, parameter in self.network.named_parameters():
            of_inpainter = name.startswith("inpainter.")
            parameter.requires_grad_(self.inpainter is not None if of_inpainter else self.denoises)
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
        parts = []
        if self.inpainter is not None:
            parts.append(self._inpainting(batch, "train", seed=self.seed))
        if self.denoises:
            parts.append(self._denoising(batch, batch_idx))
        loss = torch.stack(parts).sum()
        self.log("train/loss", loss.detach(), prog_bar=True, sync_dist=True)
        return loss

    def _denoising(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss, noised = self._losses(batch)
        total = loss.total(self.vlb_weight)
        values = {
            "train/mse": loss.mse.detach().mean(),
            "train/vlb_bits_per_dim": loss.vlb.detach().mean(),
        }
        self.log_dict(values, sync_dist=True)
        self.learn_from(noised.l, total, shown=loss.mse, batch_idx=batch_idx)
        return (total * noised.weight).mean()

    def _inpainting(self, batch: dict[str, Any], stage: str, *, seed: int) -> Tensor:
        errors = inpainting_error(self.inpainter, batch, seed=seed)  # type: ignore[arg-type]
        names = self.card["data"]["contrasts"]
        values = {f"{stage}/mae_{n}": e for n, e in zip(names, errors.detach(), strict=True)}
        self.log_dict(values, batch_size=len(batch["image"]), sync_dist=True)
        return errors.mean()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Logs `val/loss`, by which the best checkpoint is chosen: the denoiser's where it is
        trained, because its training is the less stable one."""
        values = {}
        if self.inpainter is not None:
            values["val/loss"] = self._inpainting(batch, "val", seed=self.seed + VALIDATION)
        if self.denoises:
            loss, _ = self._losses(batch, validation=True)
            values["val/loss"] = loss.total(self.vlb_weight).mean()
            values |= {"val/mse": loss.mse.mean(), "val/vlb_bits_per_dim": loss.vlb.mean()}
        self.log_dict(values, batch_size=len(batch["image"]), sync_dist=True)

"""LightningModule of the two guides: the regressor of the paper and the noise-aware segmenter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mechlearn.checks import one_of
from mechlearn.diffusion.losses import area_loss, segmentation_loss
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.adversarial import Adversary
from mechlearn.models.networks import soft_fraction
from mechlearn.models.noised_module import Noised, NoisedModule

__all__ = ["GuideModule"]


class GuideModule(NoisedModule):
    """Trains R(x_l, l) over all noise levels, including clean images.

    Args:
        kind: `regressor` (MSE on the tumour fraction) or `segmenter` (cross-entropy on the mask,
            whose soft area is the fraction).
        adversarial_l2, adversarial_smooth_px: train and validate on adversarial images: see
            `Adversary`. 0, as in the paper: on the noised slices.
        options: see NoisedModule.
    """

    def __init__(
        self,
        kind: str,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        adversarial_l2: float = 0.0,
        adversarial_smooth_px: float = 0.0,
        **options: Any,
    ) -> None:
        one_of("model.kind", kind, ("regressor", "segmenter"))
        super().__init__(kind, network, schedule=schedule, data=data, **options)
        self.kind = kind
        self.adversary = Adversary(adversarial_l2, adversarial_smooth_px, seed=self.seed)
        self.settings |= {
            "model.adversarial_l2": adversarial_l2,
            "model.adversarial_smooth_px": adversarial_smooth_px,
        }

    def _losses(
        self, batch: dict[str, Any], *, validation: bool = False
    ) -> tuple[Tensor, Tensor, Noised]:
        """(loss, absolute error of the fraction), each (B,), and the noised batch."""
        noised = self.noised(batch["image"], batch["draw"], validation=validation)
        x_l = self._shown(noised, batch)
        out = self.network(x_l, noised.l)
        if self.kind == "regressor":
            fraction = out.float()
            loss = area_loss(fraction, batch["fraction"])
        else:
            fraction = soft_fraction(out, batch["brain"])
            loss = segmentation_loss(out, batch["tumour"], brain=batch["brain"])
        return loss, (fraction - batch["fraction"]).abs(), noised

    def _shown(self, noised: Noised, batch: dict[str, Any]) -> Tensor:
        """Input images of the guide, (B, C, H, W): noised slices, or adversarial ones."""
        if self.adversary.l2 == 0:
            return noised.x_l
        return self.adversary.worst_near(
            self.network, noised.x_l, noised.l,
            fraction=batch["fraction"], brain=batch["brain"],
            alpha_bar=self.schedule.alpha_bar(noised.l), draws=batch["draw"],
        )  # fmt: skip

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        loss, error, noised = self._losses(batch)
        weighted = (loss * noised.weight).mean()
        self.log("train/loss", weighted.detach(), prog_bar=True, sync_dist=True)
        self.log("train/fraction_mae", error.detach().mean(), sync_dist=True)
        self.learn_from(noised.l, loss, shown=loss, batch_idx=batch_idx)
        return weighted

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        loss, error, _ = self._losses(batch, validation=True)
        values = {"val/loss": loss.mean(), "val/fraction_mae": error.mean()}
        self.log_dict(values, batch_size=loss.shape[0], sync_dist=True)

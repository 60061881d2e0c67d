"""Base class of the LightningModules: a card in the checkpoint, Adam, and reproducible noise.

The noise of a training image is a function of (seed, draw), with draw the image's number in the
list of `data.draws`. So two processes train on the same noise as one with twice the batch, and a
resumed run on the same noise as an uninterrupted one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from mechlearn.checks import one_of
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise
from mechlearn.diffusion.training_noise import (
    ImportanceLevels,
    LevelSampler,
    UniformLevels,
    noise_of,
)
from mechlearn.models.checkpoints import CARD_KEY, build_network, make_card
from mechlearn.models.quartiles import Quartiles

__all__ = ["Noised", "NoisedModule"]

log = logging.getLogger(__name__)

VALIDATION = 2**31  # offset of the seed for validation, so that its noise differs from training


@dataclass(frozen=True)
class Noised:
    """A noised batch: x_l and epsilon (B, C, H, W), l (B,), and weights of the loss (B,)."""

    x_l: Tensor
    l: Tensor
    epsilon: Tensor
    weight: Tensor


class NoisedModule(pl.LightningModule):
    """A network trained on noised slices.

    Args:
        kind: ddpm, regressor or segmenter. network: {_target_, arguments}, builtin values.
        data: `SliceStore.card()`.
        seed: of noise and levels.
        lr: learning rate of Adam; warmup_steps: linear warm-up; decay: cosine decay to a tenth of
            lr at the trainer's last step.
        levels: `uniform`, or `importance`: see `ImportanceLevels`.
        low_level_share, low_level: share of uniform training levels drawn from 1..low_level.

    A batch is that of `data.datasets.SliceDataset`: image, tumour, brain, present, fraction, draw.
    """

    lowest_level = 0

    def __init__(
        self,
        kind: str,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        seed: int = 0,
        lr: float = 1e-4,
        warmup_steps: int = 0,
        decay: bool = False,
        levels: str = "uniform",
        low_level_share: float = 0.0,
        low_level: int = 500,
    ) -> None:
        super().__init__()
        self.card = make_card(kind, network, schedule, data)
        # Convolutions are faster with channels last; the sampler uses the same format.
        self.network = build_network(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.schedule = schedule
        self.seed = seed
        self.lr, self.warmup_steps, self.decay = lr, warmup_steps, decay
        self.levels = self._level_sampler(levels, low_level_share, low_level)
        self._fixed_levels = UniformLevels(self.lowest_level, schedule.levels)
        self.quartiles = Quartiles(schedule.levels)
        self.settings = {
            "seed": seed, "optimizer.lr": lr, "model.warmup_steps": warmup_steps,
            "model.decay": decay, "model.levels": levels,
            "model.low_level_share": low_level_share, "model.low_level": low_level,
        }  # fmt: skip

    def _level_sampler(self, levels: str, share: float, below: int) -> LevelSampler:
        one_of("model.levels", levels, ("uniform", "importance"))
        if levels == "uniform":
            return UniformLevels(self.lowest_level, self.schedule.levels, share=share, below=below)
        if share > 0:
            raise ValueError(
                f"model.low_level_share={share:g}, model.levels=importance: both define the "
                "distribution of levels. Set the share to 0, or model.levels=uniform."
            )
        return ImportanceLevels(self.lowest_level, self.schedule.levels)

    def noised(self, x0: Tensor, draws: Sequence[int], *, validation: bool = False) -> Noised:
        """A batch with the levels and the noise of its draws.

        Validation uses uniform levels, the same at every validation, so that curves are comparable.
        """
        seed = self.seed + (VALIDATION if validation else 0)
        sampler = self._fixed_levels if validation else self.levels
        l, weight = sampler.draw(draws, seed=seed, device=x0.device)
        epsilon = noise_of(draws, x0.shape[1:], seed=seed, device=x0.device)
        x0, epsilon = (x.contiguous(memory_format=torch.channels_last) for x in (x0, epsilon))
        x_l = add_noise(x0, epsilon, alpha_bar=self.schedule.alpha_bar(l))
        return Noised(x_l, l, epsilon, weight)

    def learn_from(self, l: Tensor, losses: Tensor, *, shown: Tensor, batch_idx: int) -> None:
        """Update the level sampler with the losses (B,) of a step; log `shown` (B,) by quartile.

        With several processes each one uses the losses of all, in the order of the draws.
        """
        if isinstance(self.levels, ImportanceLevels):
            losses = losses.detach().float()
            gathered = (self.all_gather(x) for x in (l, losses))
            self.levels.update(*(x.flatten() for x in gathered))  # type: ignore[union-attr]
        self.quartiles.add(l, shown.detach().float())
        trainer: Any = self.trainer  # its log_every_n_steps is undeclared
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if stepped and (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            sums = trainer.strategy.reduce(self.quartiles.take(), reduce_op="sum")
            means = self.quartiles.means(sums)
            values = {f"train/{self.quartiles.of}_{name}": float(mean) for name, mean in means}
            # Not by self.log, which repeats an old mean for a quarter without losses.
            for logger in self.loggers:
                logger.log_metrics(values, step=trainer.global_step)

    def configure_optimizers(self) -> Any:
        # Fused Adam, except where Lightning cannot clip its gradients (mixed precision).
        clipped = self.trainer.gradient_clip_val is not None
        mixed = str(self.trainer.precision)
        fused = mixed != "16-mixed" and not (clipped and mixed.endswith("mixed"))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=fused)
        total = int(self.trainer.estimated_stepping_batches)

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
            if not self.decay:
                return warm
            done = min(step / max(total, 1), 1.0)
            return warm * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CARD_KEY] = {**self.card, "training_steps": int(self.global_step)}
        checkpoint["settings"] = self.settings
        checkpoint["levels"] = self.levels.state_dict()
        checkpoint["quartiles"] = self.quartiles.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        step, steps = checkpoint["global_step"], self.trainer.max_steps
        if steps == -1 or step < steps:
            log.info("resume: continue after step %d of %s", step, "any" if steps == -1 else steps)
        else:
            log.warning("resume: all %d steps are done (trainer.max_steps=%d)", step, steps)
        for key, value in checkpoint.get("settings", {}).items():
            if self.settings[key] != value:
                log.warning("resume: %s was %s, is now %s", key, value, self.settings[key])
        if checkpoint.get("levels"):
            self.levels.load_state_dict(checkpoint["levels"])
        if "quartiles" in checkpoint:
            self.quartiles.load_state_dict(checkpoint["quartiles"])

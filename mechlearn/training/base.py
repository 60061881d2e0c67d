"""What both LightningModules need: a card in the checkpoint, Adam, fixed noise for validation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from mechlearn.diffusion.noise import sample_levels
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise
from mechlearn.training.checkpoints import CARD_KEY, build_network, make_card

__all__ = ["NoisedModule"]


class NoisedModule(pl.LightningModule):
    """A network trained on noised slices.

    Args:
        kind: ddpm, regressor or segmenter. network: {_target_, arguments}, plain builtins.
        data: `SliceStore.card()`.
        lr: Adam's learning rate; warmup_steps: linear warm-up; cosine decay to a tenth of lr if
            `decay` and the trainer knows its last step.
        low_level_share, low_level: share of training levels drawn from 1..low_level.
    """

    lowest_level = 0

    def __init__(
        self,
        kind: str,
        network: Mapping[str, Any],
        *,
        schedule: NoiseSchedule,
        data: Mapping[str, Any],
        lr: float = 1e-4,
        warmup_steps: int = 0,
        decay: bool = False,
        low_level_share: float = 0.0,
        low_level: int = 500,
    ) -> None:
        super().__init__()
        self.card = make_card(kind, network, schedule, data)
        self.network = build_network(network)
        self.schedule = schedule
        self.lr, self.warmup_steps, self.decay = lr, warmup_steps, decay
        self.low_level_share, self.low_level = low_level_share, low_level

    def noised(
        self, x0: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(x_l, l, epsilon) of a batch; with a generator the same noise on any machine."""
        share = self.low_level_share if generator is None else 0.0
        l = sample_levels(
            x0.shape[0], lowest=self.lowest_level, highest=self.schedule.levels, share=share,
            below=self.low_level, generator=generator, device=x0.device,
        )  # fmt: skip
        if generator is None:
            epsilon = torch.randn_like(x0)
        else:
            epsilon = torch.randn(x0.shape, generator=generator).to(x0)
        return add_noise(x0, epsilon, alpha_bar=self.schedule.alpha_bar(l)), l, epsilon

    def validation_generator(self, batch_idx: int) -> torch.Generator:
        """The same levels and noise at every validation, so that curves compare."""
        return torch.Generator().manual_seed(1_000_003 * self.global_rank + batch_idx)

    def on_train_start(self) -> None:
        """Noise of its own for every process, and for what follows after a resume."""
        base = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        sequence = np.random.SeedSequence([base, self.global_rank, self.global_step])
        torch.manual_seed(int(sequence.generate_state(1)[0]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr)
        total = int(self.trainer.estimated_stepping_batches)

        def factor(step: int) -> float:
            warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
            if not self.decay:
                return warm
            done = min(step / max(total, 1), 1.0)
            return warm * (0.1 + 0.9 * 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi)))))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[CARD_KEY] = {**self.card, "training_steps": int(self.global_step)}

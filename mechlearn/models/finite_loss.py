"""Callback that stops a training at the first loss that is not finite."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

__all__ = ["FiniteLoss"]

LOOK_EVERY = 50  # steps between two checks on a GPU, because a check synchronises


class FiniteLoss(pl.Callback):
    """Stops a run whose loss is NaN or infinite, before the next checkpoint.

    On a GPU the loss is checked every 50 steps; the error names the first bad step.

    Raises:
        ValueError: with the optimiser step, the batch and the remedy.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None  # batch of the first bad loss, -1 for none

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if not isinstance(loss, Tensor):
            return
        if self._first is None:
            self._first = torch.full((), -1, device=loss.device)
        bad = ~torch.isfinite(loss.detach()) & (self._first < 0)
        self._first = torch.where(bad, batch_idx, self._first)
        if loss.device.type == "cpu" or batch_idx % LOOK_EVERY == 0:
            self._look(trainer, batch_idx)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer, trainer.fit_loop.total_batch_idx)

    def _look(self, trainer: pl.Trainer, batch_idx: int) -> None:
        first = -1 if self._first is None else int(self._first)
        if first < 0:
            return
        steps_since = (batch_idx - first) // trainer.accumulate_grad_batches
        raise ValueError(
            f"the loss is not a finite number at step {trainer.global_step - steps_since}, batch "
            f"{first} of this pass: training diverged. Lower optimizer.lr, set "
            "trainer.gradient_clip_val=1 or trainer.precision=32-true, and start again from the "
            "best checkpoint with init=PATH."
        )

"""Checkpoints for resuming a stopped run: written often, atomically, after whole steps."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities.exceptions import SIGTERMException

from mechlearn.checks import positive
from mechlearn.models.torch_files import write_torch

__all__ = ["AtomicCheckpointIO", "RecoveryCheckpoint", "all_metrics"]

log = logging.getLogger(__name__)

METRICS = "metrics"  # key of a checkpoint
LOOK_EVERY = 10  # steps between two checks of the clock, which need communication of processes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder, then renames it.

    Lightning uses the system's temporary folder, often on another disk: the last step is then a
    copy, and a kill during the copy leaves an incomplete file.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Save atomically to a local path; for other file systems as in Lightning."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        write_torch(path, checkpoint)


class RecoveryCheckpoint(Checkpoint):
    """Keeps `last.ckpt` fresh: every `minutes`, at the end, and on a signal to stop.

    Told by SIGTERM (a cluster) or Ctrl-C: the step is finished, the checkpoint written, the run
    ended. A second Ctrl-C ends it at once.

    It is taken after whole optimiser steps, and where a validation is due after that validation
    (Lightning leaves one out that a kill has cut short), so that a run that goes on from it repeats
    exactly what an uninterrupted one does. It is written before the next step begins: by then
    Lightning has logged the step it was taken after, which the resumed run will not log again.
    It stands behind the averaging of weights, as Lightning orders all callbacks that write
    checkpoints.

    Attributes:
        metrics: losses and scores of the run it goes on from. A run that was killed after its last
            step has no others when it is resumed.

    Args:
        dirpath: its folder.
        every_minutes: between two of them; a killed run loses no more. None: no clock.
        every_n_steps: in place of minutes, where a number of steps says it better.
    """

    def __init__(
        self,
        dirpath: str | Path,
        *,
        every_minutes: float | None = 5.0,
        every_n_steps: int | None = None,
    ) -> None:
        if every_minutes is not None:
            positive("callbacks.last.every_minutes", every_minutes)
        if every_n_steps is not None:
            positive("callbacks.last.every_n_steps", every_n_steps)
        self.path = Path(dirpath) / "last.ckpt"
        self.every_s = math.inf if every_minutes is None else 60 * every_minutes
        self.every_n_steps = every_n_steps
        self._taken: dict[str, Any] | None = None
        self._taken_step = -1
        self._taken_at = time.monotonic()
        self._after_validation = False
        self._whole = False
        self._before_sigint: Any = None
        self.metrics: dict[str, float] = {}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[METRICS] = all_metrics(trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.metrics = dict(checkpoint.get(METRICS, {}))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._taken_at = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            return
        before, process = signal.getsignal(signal.SIGINT), os.getpid()

        def stop(number: int, frame: Any) -> None:
            if os.getpid() != process:
                return  # a loader process
            signal.signal(signal.SIGINT, before)
            if trainer.is_global_zero:
                log.warning("stopping after this step; Ctrl-C again to stop at once")
            # As for SIGTERM: Lightning then stops all processes between two steps.
            trainer._signal_connector.received_sigterm = True

        signal.signal(signal.SIGINT, stop)
        self._before_sigint = before

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._before_sigint is not None:
            signal.signal(signal.SIGINT, self._before_sigint)
            self._before_sigint = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._write(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        self._whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if self._whole and self._is_due(trainer):
            self._after_validation = _validates_after(trainer, batch_idx)
            if not self._after_validation:
                self._take(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._after_validation:
            self._after_validation = False
            self._take(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # After an early stop; not in on_train_end, where the EMA weights replace the weights.
        self._take(trainer)
        self._write(trainer)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if not isinstance(exception, SIGTERMException):
            return  # the step may be incomplete
        # Lightning raises SIGTERMException between two steps, or in a validation, where the EMA
        # weights replace the weights.
        if self._whole and not trainer.validating:
            self._take(trainer)
        self._write(trainer)
        if trainer.is_global_zero and self._taken_step >= 0:
            step = self._taken_step
            log.warning("stopped; step %d is in %s: resume=auto continues", step, self.path)

    def _is_due(self, trainer: pl.Trainer) -> bool:
        step = trainer.global_step
        if step == trainer.max_steps:
            return True
        if self.every_n_steps is not None:
            return step % self.every_n_steps == 0
        if step % LOOK_EVERY:
            return False
        late = time.monotonic() - self._taken_at >= self.every_s
        return bool(trainer.strategy.broadcast(late))

    def _take(self, trainer: pl.Trainer) -> None:
        """Take the content of a checkpoint now; its tensors change in the next step."""
        if self._taken_step != trainer.global_step:
            self._taken = trainer._checkpoint_connector.dump_checkpoint(False)
            self._taken_step, self._taken_at = trainer.global_step, time.monotonic()

    def _write(self, trainer: pl.Trainer) -> None:
        if self._taken is not None:
            trainer.strategy.save_checkpoint(self._taken, self.path)
            trainer.strategy.barrier("RecoveryCheckpoint")
            self._taken = None


def _validates_after(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether Lightning validates after this batch."""
    every: float = trainer.val_check_batch  # type: ignore[assignment]
    by_total = trainer.check_val_every_n_epoch is None
    done = trainer.fit_loop.total_batch_idx if by_total else batch_idx
    return trainer.enable_validation and (done + 1) % every == 0


def all_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """Losses and scores at the end of a run; those of the run it goes on from where it has none."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    before = [c.metrics for c in callbacks if isinstance(c, RecoveryCheckpoint)]
    now = {key: float(value) for key, value in trainer.callback_metrics.items()}
    return {key: value for metrics in (*before, now) for key, value in metrics.items()}

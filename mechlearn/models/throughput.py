"""Throughput of a training, for any logger.

Lightning's ThroughputMonitor is not used, because it synchronises the GPU after every batch, which
makes the training slower, and because it measures neither the time of waiting for data nor memory.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["Throughput"]

GIB = 2**30


class Throughput(pl.Callback):
    """Logs means over the optimiser steps since the last line of the log:

    - `throughput/images_per_s`: over all processes;
    - `throughput/step_s`: seconds of an optimiser step, with all accumulated batches;
    - `throughput/data_wait_share`: share of this time in which this process waited for its loader
      (if the loader measures it, as `data.module.ResumableLoader` does);
    - `throughput/gpu_memory_peak_gib`: peak memory so far, on the GPU of this process.

    Times are of the host, without synchronisation: kernels that are queued at the end of a window
    count in the next one. Validation and the first step of a run are left out; writing of
    checkpoints is included.
    """

    def __init__(self) -> None:
        self._begun: float | None = None  # start of the window, shifted by excluded times
        self._images = 0
        self._waited_s = 0.0  # value of the loader at the start of the window
        self._step = 0
        self._paused = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._begun is not None:
            self._begun += time.perf_counter() - self._paused

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        self._images += len(batch["image"])
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self._begun is None:
            self._restart(trainer)
        elif trainer.global_step % every == 0:
            pl_module.log_dict(self._means(trainer, pl_module.device))
            self._restart(trainer)

    def _restart(self, trainer: pl.Trainer) -> None:
        self._begun, self._images = time.perf_counter(), 0
        self._waited_s, self._step = _waited(trainer) or 0.0, trainer.global_step

    def _means(self, trainer: pl.Trainer, device: torch.device) -> dict[str, float]:
        assert self._begun is not None
        elapsed = time.perf_counter() - self._begun
        values = {
            "throughput/images_per_s": self._images * trainer.world_size / elapsed,
            "throughput/step_s": elapsed / (trainer.global_step - self._step),
        }
        if (waited := _waited(trainer)) is not None:
            values["throughput/data_wait_share"] = min((waited - self._waited_s) / elapsed, 1.0)
        if device.type == "cuda":
            values["throughput/gpu_memory_peak_gib"] = torch.cuda.max_memory_allocated(device) / GIB
        return values


def _waited(trainer: pl.Trainer) -> float | None:
    """Seconds of waiting for the loader so far; None if the loader does not measure them."""
    waited = getattr(trainer.train_dataloader, "waited_s", None)
    return None if waited is None else float(waited)

"""How fast training goes, for any logger.

Lightning's ThroughputMonitor is not taken: it waits for the GPU after every batch (its
`torch.cuda.synchronize`), which costs the overlap that it is to measure, and it knows neither how
long a step waited for data nor how much memory was needed.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

__all__ = ["Throughput"]

GIB = 2**30


class Throughput(pl.Callback):
    """Logs, at every line of the log, means over the optimiser steps since the last one:

    - `throughput/images_per_s`: over all processes;
    - `throughput/step_s`: of an optimiser step, accumulated batches together;
    - `throughput/data_wait_share`: of that time, how much went by until the loader of this process
      handed over its batches (if it counts that, as `data.module.ResumableLoader` does);
    - `throughput/gpu_memory_peak_gib`: allocated so far, on the GPU of this process.

    Clocks are read on the host and nothing is waited for: kernels that are still queued when a
    window ends count in the next. Validation is left out, writing checkpoints is not. The first
    step of a run, in which kernels are chosen and workers begin, is left out as well.
    """

    def __init__(self) -> None:
        self._begun: float | None = None  # when the window began, less what is left out
        self._images = 0
        self._waited_s = 0.0  # the loader's count when the window began
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
    """Seconds until the loader had its batches, so far; None if it does not count them."""
    waited = getattr(trainer.train_dataloader, "waited_s", None)
    return None if waited is None else float(waited)

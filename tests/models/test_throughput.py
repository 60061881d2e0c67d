"""Speed as it is logged: counted by a clock that the test turns."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from mechlearn.models import throughput

BATCH = 5
FETCH_S, STEP_S, VALIDATION_S = 1.0, 3.0, 50.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Loader(DataLoader):
    """Batches of five images that take a second each to come."""

    waited_s = 0.0
    clock: Clock

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            self.clock.now += FETCH_S
            self.waited_s += FETCH_S
            yield batch


class Module(pl.LightningModule):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.clock = clock

    def training_step(self, batch: dict, batch_idx: int) -> torch.Tensor:
        self.clock.now += STEP_S
        return self.layer(batch["image"]).mean()

    def validation_step(self, batch: dict, batch_idx: int) -> None:
        self.clock.now += VALIDATION_S

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """logged(steps, **trainer options) -> lines of the log that tell a speed."""
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)

    def run(steps: int, **options: Any) -> list[dict[str, float]]:
        images = [{"image": torch.ones(1)} for _ in range(200)]
        loader = Loader(images, batch_size=BATCH)
        loader.clock = clock
        logger = CSVLogger(tmp_path)
        trainer = pl.Trainer(
            max_steps=steps, accelerator="cpu", logger=logger, enable_model_summary=False,
            callbacks=[throughput.Throughput()], enable_progress_bar=False,
            enable_checkpointing=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
            check_val_every_n_epoch=None, **options,
        )  # fmt: skip
        trainer.fit(Module(clock), loader, DataLoader(images[:BATCH], batch_size=BATCH))
        with open(logger.experiment.metrics_file_path) as file:
            lines = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
        return [line for line in lines if "throughput/step_s" in line]

    return run


def test_images_steps_and_waiting(logged) -> None:
    lines = logged(6, log_every_n_steps=2)
    assert len(lines) == 3
    for line in lines:
        assert line["throughput/step_s"] == FETCH_S + STEP_S
        assert line["throughput/images_per_s"] == BATCH / (FETCH_S + STEP_S)
        assert line["throughput/data_wait_share"] == FETCH_S / (FETCH_S + STEP_S)


def test_every_line_of_the_log_tells_it_after_the_first_step(logged) -> None:
    assert [line["step"] for line in logged(4, log_every_n_steps=1)] == [1, 2, 3]


def test_validation_is_left_out(logged) -> None:
    lines = logged(6, log_every_n_steps=2, val_check_interval=1)
    assert {line["throughput/step_s"] for line in lines} == {FETCH_S + STEP_S}


def test_accumulated_batches_are_one_step(logged) -> None:
    lines = logged(4, log_every_n_steps=2, accumulate_grad_batches=3)
    assert {line["throughput/step_s"] for line in lines} == {3 * (FETCH_S + STEP_S)}
    assert {line["throughput/images_per_s"] for line in lines} == {BATCH / (FETCH_S + STEP_S)}


def test_no_gpu_no_memory(logged) -> None:
    (line,) = logged(2, log_every_n_steps=1)
    assert "throughput/gpu_memory_peak_gib" not in line

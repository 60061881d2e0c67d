"""The train command: data, module, trainer, and the files of the run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from mechlearn.config import build, stores, tracking, validate
from mechlearn.config.specs import output_dir
from mechlearn.evaluation.rows import Row, write_row
from mechlearn.files import remove_litter
from mechlearn.models.checkpoints import export
from mechlearn.models.recovery import all_metrics

__all__ = ["train_model"]

log = logging.getLogger(__name__)


def train_model(cfg: DictConfig) -> None:
    """Train; writes checkpoints, metrics, model.pt and row.json to the output folder."""
    validate.check_train(cfg)
    pl.seed_everything(cfg.seed, workers=True)
    store = stores.open_store(cfg, splits=("train", "val"))
    data = build.build_datamodule(cfg, store)
    module = build.build_module(cfg, data=data.card(), trained_on=data.describe())
    with tracking.running_logger(cfg) as logger:
        trainer = build.build_trainer(cfg, logger=logger)
        tracking.begin(logger, cfg)
        resumed = build.resume_path(cfg)
        if resumed is not None:
            remove_litter(resumed)  # partial checkpoints of the stopped run
        trainer.fit(module, data, ckpt_path=resumed, weights_only=True)
        if trainer.is_global_zero:
            row = _finish(cfg, trainer, **tracking.origin(logger, cfg))
            tracking.end_training(logger, cfg, row, module.card)


def _finish(cfg: DictConfig, trainer: pl.Trainer, **card: Any) -> Row:
    """Export the best weights (the last ones without validation) and write the row."""
    saved = trainer.checkpoint_callback
    assert isinstance(saved, ModelCheckpoint)  # conf/callbacks always has one
    source = Path(saved.best_model_path or f"{saved.dirpath}/last.ckpt")
    row: Row = {**all_metrics(trainer)}
    row |= {
        "job": "train", "kind": cfg.model.kind, "steps": trainer.global_step, "seed": cfg.seed,
        "n_processes": trainer.world_size, "precision": str(trainer.precision),
    }  # fmt: skip
    if saved.best_model_score is not None:
        row["val/loss_best"] = float(saved.best_model_score)  # that of the exported weights
    if source.is_file():
        row["model"] = str(export(source, output_dir() / "model.pt", half=False, **card))
        log.info("weights and card: %s (from %s)", row["model"], source.name)
    write_row(output_dir(), row)
    return row

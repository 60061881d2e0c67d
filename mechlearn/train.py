"""Train a denoiser or a guide: python -m mechlearn.train +experiment=ddpm_phantom."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import ModelCheckpoint

from mechlearn.config import build, errors, recipes, schema, stores, tracking, validate
from mechlearn.evaluation.rows import Row, write_row
from mechlearn.models.checkpoints import export

log = logging.getLogger(__name__)
schema.register()


@hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name="train")
@errors.clear_errors
def main(cfg: DictConfig) -> None:
    """One training run; leaves checkpoints, metrics, model.pt and row.json in its folder."""
    validate.check_train(cfg)
    pl.seed_everything(cfg.seed, workers=True)
    store = stores.open_store(cfg, splits=("train", "val"))
    data = build.build_datamodule(cfg, store)
    module = build.build_module(cfg, data=data.card(), trained_on=data.describe())
    with tracking.running_logger(cfg) as logger:
        trainer = build.build_trainer(cfg, logger=logger)
        tracking.begin(logger, cfg)
        trainer.fit(module, data, ckpt_path=build.resume_path(cfg))
        if trainer.is_global_zero:
            row = _finish(cfg, trainer, **tracking.origin(logger, cfg))
            tracking.end_training(logger, cfg, row, module.card)


def _finish(cfg: DictConfig, trainer: pl.Trainer, **card: Any) -> Row:
    """Export the best weights (the last, where nothing was validated) and write the row."""
    saved = trainer.checkpoint_callback
    assert isinstance(saved, ModelCheckpoint)  # conf/callbacks always has one
    source = Path(saved.best_model_path or f"{saved.dirpath}/last.ckpt")
    row: Row = {key: float(value) for key, value in trainer.callback_metrics.items()}
    row |= {
        "job": "train", "kind": cfg.model.kind, "steps": trainer.global_step, "seed": cfg.seed,
        "n_processes": trainer.world_size, "precision": str(trainer.precision),
    }  # fmt: skip
    if saved.best_model_score is not None:
        row["val/loss_best"] = float(saved.best_model_score)  # that of the exported weights
    if source.is_file():
        row["model"] = str(export(source, build.output_dir() / "model.pt", half=False, **card))
        log.info("weights and card: %s (from %s)", row["model"], source.name)
    write_row(build.output_dir(), row)
    return row


if __name__ == "__main__":
    main()

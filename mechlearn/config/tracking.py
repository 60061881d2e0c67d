"""The logger of a job, and data, models and rows as W&B artifacts."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

import mechlearn
from mechlearn.config.build import resume_path
from mechlearn.config.pseudonyms import without_patients, without_places
from mechlearn.config.specs import output_dir, plain_values
from mechlearn.config.stores import store_root
from mechlearn.data.splits import SPLITS
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.leaderboards import PAGE, Leaderboard
from mechlearn.evaluation.model_pair import ModelBundle
from mechlearn.evaluation.rows import ROW, Row, read_table, write_row, write_table
from mechlearn.models import lineage

__all__ = ["begin", "data_summary", "end_evaluation", "end_training", "origin", "running_logger",
           "use_data"]  # fmt: skip

FORECASTS = ("longitudinal", "growth_fits")  # tasks of a growth model
OURS = ("patient_names", "images")  # keys of conf/logger/wandb.yaml that are not W&B's
# W&B must not collect terminal output, the command line and file changes by itself.
QUIET = {"console": "off", "disable_git": True, "x_disable_machine_info": True}
DATA_DIR = "WANDB_DATA_DIR"  # W&B's variable; a value set by the user is kept
MOST_ROWS = 10_000  # of a table that W&B shows; the artifact has the whole file


@contextmanager
def running_logger(cfg: DictConfig) -> Iterator[Logger]:
    """Context manager of `cfg.logger`; a resumed training continues its W&B run.

    The W&B run is finished at the end, because all jobs of a sweep in one process would otherwise
    write into one run. W&B is imported and the run started at the first write to the logger.
    """
    node = {key: value for key, value in cfg.logger.items() if key not in OURS}
    # As keyword arguments, because Hydra converts values to config nodes, which W&B refuses.
    logger: Logger = instantiate(node, _partial_=True)(**_run_values(cfg))
    status = "failed"
    with _staged_in(output_dir() / "wandb"):
        try:
            yield logger
            status = "success"
        finally:
            logger.finalize(status)
            wandb = sys.modules.get("wandb")
            if wandb is not None and wandb.run is not None:
                wandb.finish(exit_code=int(status == "failed"))


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """W&B stores files before upload in the run's folder, not in the user's home."""
    if DATA_DIR in os.environ:
        yield
        return
    os.environ[DATA_DIR] = str(folder)
    try:
        yield
    finally:
        del os.environ[DATA_DIR]


def _names(cfg: DictConfig) -> bool:
    """Whether the user allows names of patients, days and file paths in W&B."""
    return bool(cfg.logger.get("patient_names"))


def _run_values(cfg: DictConfig) -> dict[str, Any]:
    """Arguments of the W&B logger: tags, privacy settings, and the run of a resumed training."""
    if not str(cfg.logger.get("_target_")).endswith("WandbLogger"):
        return {}
    tags = [*_tags(cfg), *cfg.logger.get("tags", [])]
    values: dict[str, Any] = {"tags": list(dict.fromkeys(tags))}
    if not _names(cfg):
        values["settings"] = QUIET
    if cfg.get("resume") is not None and cfg.logger.get("id") is None:
        resumed = resume_path(cfg)
        values |= {} if resumed is None else lineage.run_in_checkpoint(resumed)
    return values


def _tags(cfg: DictConfig) -> list[str]:
    """Tags of a run: kind of model, data, contrasts, growth model, version."""
    tags = [cfg.model.kind if "model" in cfg else cfg.guide.kind, cfg.data.name or cfg.data.kind]
    if cfg.data.contrasts is not None:
        tags.append("+".join(cfg.data.contrasts))
    if cfg.task.name in FORECASTS:
        tags.append(cfg.growth.law)
    return [str(tag)[:64] for tag in (*tags, f"v{mechlearn.__version__}")]  # W&B: 64 at most


def begin(logger: Logger, cfg: DictConfig, models: ModelBundle | None = None) -> None:
    """Log the config and, to W&B, the artifacts that the job reads.

    The data of an evaluation are logged at its end, because a phantom cohort is generated during
    the job.

    Raises:
        ValueError: an error of W&B, such as no account or no connection.
    """
    try:
        logger.log_hyperparams(_sent(logger, cfg, plain_values(cfg)))
    except Exception as error:
        if not type(error).__module__.startswith("wandb."):
            raise
        raise ValueError(
            f"logger=wandb: {error} Log in once with `wandb login`, or use logger.offline=true "
            "and `wandb sync` later, or use logger=csv."
        ) from error
    if "model" in cfg:
        use_data(logger, cfg)
    run = lineage.wandb_run(logger)
    if run is None or models is None:
        return
    for role, model in {"denoiser": models.denoiser, "guide": models.guide}.items():
        known = lineage.use_model(run, Path(model.source), model.card)
        origin = model.card.get("wandb", {}) if known else {}
        about = {"source": model.source, "digest": model.digest, **origin}
        run.config.update({role: _sent(logger, cfg, about)}, allow_val_change=True)


def _sent(logger: Logger, cfg: DictConfig, values: dict[str, Any]) -> dict[str, Any]:
    """The config for a logger: complete, but for W&B without file paths."""
    if _names(cfg) or lineage.wandb_run(logger) is None:
        return values
    return dict(without_places(values))


def use_data(logger: Logger, cfg: DictConfig) -> None:
    """Log the data of the run to W&B: counts and digests, no images and no patients."""
    run = lineage.wandb_run(logger)
    if run is None:
        return
    series = cfg.task.get("series")
    if series is not None:
        path = Path(series).expanduser()
        name, summary = path.stem, {"series": _digest([path.read_text()])}
        name = name if _names(cfg) else "series"
    else:
        store = SliceStore(store_root(cfg))
        name, summary = store.root.name, data_summary(store)
    run.config.update({"dataset": summary}, allow_val_change=True)
    lineage.use_dataset(run, f"data-{name}", summary, output_dir())


def data_summary(store: SliceStore) -> dict[str, Any]:
    """Counts and digests of a store by split; equal for equal data.

    The digests depend on names of patients, visits, days, slices, and sizes of brain and tumour.
    """
    splits: dict[str, Any] = {}
    sources: Counter[str] = Counter()
    for split in SPLITS:
        visits = [v for patient in store.patients(split) for v in store.visits(patient)]
        sources.update(v.record.source or "unnamed" for v in visits)
        lines = [
            f"{v.patient} {v.session} {v.day} {v.zs} {v.brain_px} {v.tumour_px}" for v in visits
        ]
        splits[split] = {
            "patients": len(store.patients(split)),
            "visits": len(visits),
            "slices": sum(len(v.zs) for v in visits),
            "slices_with_tumour": sum(n > 0 for v in visits for n in v.tumour_px),
            "digest": _digest(lines),
        }
    return {**store.card(), "splits": splits, "sources": dict(sorted(sources.items()))}


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def origin(logger: Logger, cfg: DictConfig) -> dict[str, Any]:
    """The W&B artifact and run of a training, for the card of its weights; empty without W&B."""
    run = lineage.wandb_run(logger)
    return {} if run is None else {"wandb": lineage.model_origin(run, cfg.name)}


def end_training(logger: Logger, cfg: DictConfig, row: Row, card: dict[str, Any]) -> None:
    """Log the exported weights of a training with the numbers of its row as a W&B artifact."""
    run = lineage.wandb_run(logger)
    if run is None or "model" not in row:
        return
    scores = {k: v for k, v in row.items() if k not in ("job", "model")}
    alias = "best" if "val/loss_best" in row else "last"
    lineage.log_model(
        run, cfg.name, Path(row["model"]), metadata={"card": card, **scores}, aliases=[alias]
    )


def end_evaluation(
    logger: Logger, cfg: DictConfig, models: ModelBundle | None, row: Row,
    page: Leaderboard,
) -> None:  # fmt: skip
    """Log a job's numbers; to W&B also the data it read, its row, its tables and its leaderboard.

    Patients have pseudonyms there unless `logger.patient_names`. The whole page goes with
    `logger.patient_names` and `logger.images` alone, because it shows both; otherwise its tables,
    a row a method.
    """
    logger.log_metrics({k: float(v) for k, v in row.items() if isinstance(v, (int, float))})
    run = lineage.wandb_run(logger)
    if run is None:
        return
    use_data(logger, cfg)
    if models is not None and row["job"] == "gain" and "wandb" in models.guide.card:
        guide = models.guide  # its file was rewritten: a new version of the same model
        lineage.log_model(
            run, guide.card["wandb"]["artifact"], Path(guide.source),
            metadata={"card": {**guide.card, "gain": row["gain"]}}, aliases=["calibrated"],
        )  # fmt: skip
    tables = {path.stem: read_table(path) for path in sorted(output_dir().glob("*.csv"))}
    files = [output_dir() / ROW, *(output_dir() / f"{name}.csv" for name in tables)]
    sent = output_dir() / "wandb" / "sent"
    if not _names(cfg):
        tables = without_patients(tables)
        (row,) = without_patients({ROW: [row]})[ROW]
        files = _written_again(row, tables, sent)
    whole = _names(cfg) and cfg.logger.images
    files.append(page.path if whole else page.write_tables(sent / PAGE))
    shown = {name: rows[:MOST_ROWS] for name, rows in tables.items()}
    lineage.log_evaluation(run, f"{cfg.task.name}-{cfg.name}", files, row, shown)


def _written_again(row: Row, tables: dict[str, list[Row]], folder: Path) -> list[Path]:
    """Row and tables as W&B gets them: files for the artifact."""
    folder.mkdir(parents=True, exist_ok=True)
    return [write_row(folder, row),
            *(write_table(folder / f"{name}.csv", rows, first=tuple(rows[0]) if rows else ())
              for name, rows in tables.items())]  # fmt: skip

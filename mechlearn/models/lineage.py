"""Lineage in W&B (data -> model -> evaluation rows), and the W&B run of a checkpoint.

W&B identifies a version of an artifact by its content: the same data or weights logged again under
the same name are the existing version, without an upload. This links an evaluation to the training
run of its `model.pt`, independently of the file's path, online or offline. The card of the weights
holds the name of the artifact.

Files are not copied (policy `immutable`): sync an offline run from the same machine, before its
files are moved or deleted.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from mechlearn.files import write_text
from mechlearn.models.torch_files import read_torch

__all__ = [
    "MODEL_FILE",
    "RunInCheckpoint",
    "log_evaluation",
    "log_model",
    "model_origin",
    "run_in_checkpoint",
    "use_dataset",
    "use_model",
    "wandb_run",
]

log = logging.getLogger(__name__)
MOST_KEYS = 100  # limit of W&B for metadata keys on the top level
MODEL_FILE = "model.pt"  # name in the artifact, independent of the file's name on disk


def wandb_run(logger: Logger | None) -> Any | None:
    """The W&B run of a logger, started if needed; None for other loggers and on other ranks."""
    if not isinstance(logger, WandbLogger) or rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return None
    return logger.experiment


class RunInCheckpoint(pl.Callback):
    """Writes id, name and group of the W&B run into every checkpoint; nothing without W&B."""

    def __init__(self) -> None:
        self._run: dict[str, str] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for run in filter(None, map(wandb_run, trainer.loggers)):
            values = {"id": run.id, "name": run.name, "group": run.group}
            self._run = {key: str(value) for key, value in values.items() if value}

    def state_dict(self) -> dict[str, str]:
        return dict(self._run)


def run_in_checkpoint(path: str | Path) -> dict[str, str]:
    """id, name and group of the W&B run that wrote a Lightning checkpoint; {} without W&B.

    The file is memory-mapped, so the weights are not read.
    """
    content = read_torch(path, mmap=True)
    return dict(content.get("callbacks", {}).get(RunInCheckpoint.__qualname__, {}))


def model_origin(run: Any, name: str) -> dict[str, str]:
    """Entry of the card of exported weights: name, run, project and entity of their artifact."""
    values = {"artifact": _plain_name(name), "run": run.id, "project": run.project,
              "entity": run.entity}  # fmt: skip
    return {key: str(value) for key, value in values.items() if value}


def use_dataset(run: Any, name: str, summary: Mapping[str, Any], folder: Path) -> None:
    """Log the data of a run as a summary without images and patients.

    Args:
        run: W&B run.
        name: of the artifact.
        summary: builtin values; equal summaries are the same version of the artifact.
        folder: of the run; receives `dataset.json`.
    """
    path = folder / "dataset.json"
    write_text(path, json.dumps(summary, indent=2, sort_keys=True) + "\n")
    _use(run, _artifact(name, "dataset", [path], metadata=summary))


def log_model(
    run: Any, name: str, path: Path, *, metadata: Mapping[str, Any], aliases: Iterable[str]
) -> None:
    """Log exported weights, whose card holds `model_origin`, as a model artifact."""
    artifact = _artifact(name, "model", {MODEL_FILE: path}, metadata=metadata)
    run.log_artifact(artifact, aliases=[*aliases, f"run-{run.id}"])


def use_model(run: Any, path: Path, card: Mapping[str, Any]) -> bool:
    """Log that a run uses weights; False if they were not logged to W&B."""
    origin = card.get("wandb")
    if not origin or not path.is_file():
        return False
    _use(run, _artifact(origin["artifact"], "model", {MODEL_FILE: path}, metadata=origin))
    return True


def log_evaluation(
    run: Any, name: str, files: Sequence[Path], row: Mapping[str, Any],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:  # fmt: skip
    """Log a job's files as an evaluation artifact, its row as numbers, its tables to look at.

    Args:
        files: the row's file, those of the tables, and pages (.html), which are shown too.
        row: one flat row.
        tables: of flat rows each.
    """
    import wandb

    run.log_artifact(_artifact(name, "evaluation", files, metadata=row), aliases=[f"run-{run.id}"])
    shown: dict[str, Any] = {}
    for key, rows in {"row": [row], **tables}.items():
        columns: list[str | int] = list(dict.fromkeys(k for r in rows for k in r))
        cells = [[_cell(r.get(str(k))) for k in columns] for r in rows]
        shown[f"evaluation/{key}"] = wandb.Table(columns, cells, allow_mixed_types=True)
    for page in (path for path in files if path.suffix == ".html"):
        shown[f"evaluation/{page.stem}"] = wandb.Html(page.read_text(encoding="utf-8"))
    run.log(shown)


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _artifact(
    name: str, kind: str, files: Sequence[Path] | Mapping[str, Path], *,
    metadata: Mapping[str, Any],
) -> Any:  # fmt: skip
    """An artifact of files, under their names or under the given ones."""
    import wandb

    named = files if isinstance(files, Mapping) else {path.name: path for path in files}
    about = dict(metadata)
    if len(about) > MOST_KEYS:
        about = {"row": about}
    artifact = wandb.Artifact(_plain_name(name), kind, metadata=about)
    for inside, path in named.items():
        artifact.add_file(str(path.absolute()), name=inside, policy="immutable")
    return artifact


def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:128]


def _use(run: Any, artifact: Any) -> None:
    """Log an input of the run. `use_artifact` of W&B refuses offline runs, because it downloads;
    offline the record is written by a private method and synced later."""
    if not run.offline:
        run.use_artifact(artifact)
        return
    try:
        run._log_artifact(artifact, aliases=[], is_user_created=True, use_after_commit=True)
    except (AttributeError, TypeError) as error:  # private, can change
        log.warning("%s is not logged as an input of this offline run: %s", artifact.name, error)

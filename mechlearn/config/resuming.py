"""Whether the job of a config has been done before, in the same output folder."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mechlearn.config.specs import output_dir
from mechlearn.config.stores import data_config, store_root
from mechlearn.config.tasks import TaskInputs
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.finished import code_digest, fingerprint, finished_row, start

__all__ = ["job_fingerprint", "nothing_to_do"]

log = logging.getLogger(__name__)
NO_EFFECT = ("batch_size",)  # of the sampler


def nothing_to_do(cfg: DictConfig, mark: str) -> bool:
    """Whether the output folder holds the row of an equal job; `rerun=true` runs it again."""
    folder = output_dir()
    row, why = (None, "rerun=true") if cfg.rerun else finished_row(folder, mark)
    if row is not None:
        log.info("finished before, not run again: %s", folder)
        return True
    log.info("to be run (%s): %s", why, folder)
    start(folder)
    return False


def job_fingerprint(cfg: DictConfig, inputs: TaskInputs) -> str:
    """What the row of this job depends on; files that the config names count by their content."""
    models = inputs.models
    sampler = {k: v for k, v in _plain(cfg.sampler).items() if k not in NO_EFFECT}
    return fingerprint({
        "task": [_plain(cfg.task), _plain(cfg.growth), cfg.guide.kind, cfg.seed],
        "sampler": sampler,
        "data": _data(cfg, inputs),
        "weights": [models.denoiser.digest, models.guide.digest] if models is not None else [],
        "code": code_digest(),
    })  # fmt: skip


def _plain(node: DictConfig) -> Any:
    return _by_content(OmegaConf.to_container(node, resolve=True, enum_to_str=True))


def _by_content(value: Any) -> Any:
    """The same builtins, with the digest of its content for every path of a file."""
    if isinstance(value, dict):
        return {str(k): _by_content(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_by_content(v) for v in value]
    if isinstance(value, str) and value and (path := Path(value).expanduser()).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return value


def _data(cfg: DictConfig, inputs: TaskInputs) -> Any:
    """What is read, whatever else the store holds: visits of the patients, or what makes them."""
    data = data_config(cfg)
    if inputs.store is not None:
        return _visits(inputs.store, inputs.patients)
    if inputs.task.series is not None:
        return []  # its content counts in the task
    if data.kind == "phantom":
        return [data.name, repr(data.phantom)]
    store = SliceStore(store_root(cfg))
    return _visits(store, tuple(store.patients()))


def _visits(store: SliceStore, patients: tuple[str, ...]) -> list[str]:
    lines = [repr(store.card())]
    for patient in patients:
        split = store.splits.get(patient)
        for v in store.visits(patient):
            scale = [v.intensity.contrasts, v.intensity.low, v.intensity.high]
            lines.append(repr([patient, split, v.session, v.day, v.zs, v.brain_px, v.tumour_px,
                               scale]))  # fmt: skip
    return lines

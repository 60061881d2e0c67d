"""Sources of series of tumour sizes: a CSV, a slice store, or phantoms without images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from omegaconf import DictConfig

from mechlearn.checks import one_of
from mechlearn.config.growth_config import PACKAGED, growth_spec
from mechlearn.config.stores import check_store, data_config, open_store
from mechlearn.data.patients_table import complete
from mechlearn.data.selection import spread, store_series
from mechlearn.data.size_table import read_series
from mechlearn.evaluation.job import CohortSeries
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.phantom.phantom_sizes import tracked_series
from mechlearn.phantom.phantom_spec import SERIES
from mechlearn.records import SizeSeries

__all__ = ["ALL", "check_series", "open_series"]

log = logging.getLogger(__name__)
ALL = "all"  # patients of every split


def check_series(cfg: DictConfig, task: TaskSpec) -> None:
    """Fast checks of the source of series; raises the errors of its readers."""
    if task.series is not None:
        table = read_series(_path(task))
        complete(table.timelines, companion=task.companion, patients=task.patients_table)
        return
    phantom = data_config(cfg).kind == "phantom"
    splits = ("train", "val", "test", *((SERIES,) if phantom else (ALL,)))
    one_of("task.split", task.split, splits,
           remedy=f"data={cfg.data.kind} has no other split.")  # fmt: skip
    seen = phantom and task.split == SERIES and cfg.growth.population == PACKAGED
    if seen and task.name == "growth_fits":
        raise ValueError(
            "task.split='series' with growth.population='phantom': the packaged population was "
            "fitted to these patients. Use task.split=test or growth.population=cross_fit."
        )
    check_store(cfg)


def _path(task: TaskSpec) -> Path:
    return Path(str(task.series)).expanduser()


def open_series(cfg: DictConfig, task: TaskSpec) -> CohortSeries:
    """The series of `task.series`, or of the slices of `data`.

    Sizes of phantoms are measured without generating images (seconds a patient) and kept below
    `paths.data`.
    """
    rt_duration_days = growth_spec(cfg).rt_duration_days
    if task.series is not None:
        table = read_series(_path(task), rt_duration_days=rt_duration_days)
        known = complete(table.timelines, companion=task.companion, patients=task.patients_table)
        found = CohortSeries(known, table.unit, _path(task).name, {"data": "series"})
    elif data_config(cfg).kind == "phantom":
        found = _phantoms(cfg, task)
    else:
        found = _stored(cfg, task, rt_duration_days)
    chosen = _limited(found.timelines, task)
    patients = len({t.patient for t in chosen})
    log.info("%d series of %d patients, %s", len(chosen), patients, found.name)
    return CohortSeries(tuple(chosen), found.unit, found.name, found.about)


def _phantoms(cfg: DictConfig, task: TaskSpec) -> CohortSeries:
    data = data_config(cfg)
    keys = data.phantom.patients(task.split)[: task.patients]
    parts = Path(cfg.paths.data).expanduser() / f"{data.name}_series"
    log.info("phantom tumours are simulated and measured without images; results: %s", parts)
    parts.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(parts.parent / f".{parts.name}.lock")):
        grown = tracked_series(
            data.phantom, keys, parts=parts, workers=data.workers, count=task.count,
            min_growth=task.min_growth,
        )  # fmt: skip
    series = (t for slices in grown.values() for t in slices)
    large = tuple(t for t in series if t.visits[0].size > task.min_area_mm2)
    return CohortSeries(large, "mm2", f"phantom {task.split}",
                        {"data": "phantom", "split": task.split})  # fmt: skip


def _stored(cfg: DictConfig, task: TaskSpec, rt_duration_days: float) -> CohortSeries:
    store = open_store(cfg)
    split = None if task.split == ALL else task.split
    found = store_series(
        store, split, count=task.count, min_growth=task.min_growth,
        min_area_mm2=task.min_area_mm2, rt_duration_days=rt_duration_days,
        patients=store.patients(split)[: task.patients],
    )  # fmt: skip
    return CohortSeries(tuple(found), "mm2", f"{store.root.name} {task.split}",
                        {"data": cfg.data.kind, "split": task.split})  # fmt: skip


def _limited(timelines: Sequence[SizeSeries], task: TaskSpec) -> list[SizeSeries]:
    """The first `task.patients` patients, and at most `task.slices` of their slices."""
    groups: dict[str, list[SizeSeries]] = {}
    for timeline in timelines:
        groups.setdefault(timeline.patient, []).append(timeline)
    return spread(list(groups.values())[: task.patients], task.slices)

"""The evaluate command: run the job of a composed config, or read its finished row; print it."""

from __future__ import annotations

import dataclasses
import logging
import sys
from difflib import get_close_matches
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mechlearn.checks import one_of
from mechlearn.config import tracking
from mechlearn.config.growth_config import growth_spec, warn_of_prior
from mechlearn.config.hardware import resolve_device
from mechlearn.config.model_checks import check_grid, load_bundle
from mechlearn.config.series_source import check_series, open_series
from mechlearn.config.specs import output_dir, sampler_spec, typed_command
from mechlearn.config.stores import (
    check_store,
    data_config,
    fitting_slices,
    open_store,
    phantom_patients,
    store_root,
)
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.finished import FINGERPRINT, finished_row, list_files, start
from mechlearn.evaluation.growth_scores import BASELINES
from mechlearn.evaluation.job import Job, visit_marks
from mechlearn.evaluation.leaderboards import leaderboard
from mechlearn.evaluation.rows import Row, write_row
from mechlearn.evaluation.runner import SIZES, Evaluation, load_evaluation, run
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.report.row_table import row_table

__all__ = ["evaluate_and_show", "finished_before", "open_job", "task_spec"]

log = logging.getLogger(__name__)
WIDE = 140  # characters of a table in a log file or a pipe


def evaluate_and_show(cfg: DictConfig) -> list[float]:
    """Run the job of `cfg`, or read its row if the output folder has it finished; print the table.

    Returns:
        The row's values of `cfg.objectives`, in their order.

    Raises:
        ValueError: the row does not have one of these numbers.
    """
    evaluation, job = open_job(cfg)
    mark = job.mark
    row = finished_before(cfg, mark)
    if row is None:
        with tracking.running_logger(cfg) as logger:
            tracking.begin(logger, cfg, job.models)
            if evaluation.reads == SIZES:
                series = open_series(cfg, job.task)
                job = dataclasses.replace(job, series=series, about=series.about)
            row = {**run(evaluation, job, rerun=cfg.rerun), FINGERPRINT: mark}
            list_files(output_dir())
            path = write_row(output_dir(), row)
            page = leaderboard([{**row, "cell": "."}], output_dir(), commands=[job.command])
            tracking.end_evaluation(logger, cfg, job.models, row, page)
        log.info("row: %s", path)
        log.info("page: %s", page.path)
    _show(evaluation, row)
    return _objectives(cfg, row)


def _show(evaluation: Evaluation, row: Row) -> None:
    """Print the evaluation's text file, or its row; without a terminal the width is `WIDE`."""
    text = output_dir() / evaluation.text
    if evaluation.text and text.is_file():
        sys.stdout.write(text.read_text(encoding="utf-8"))
        return
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(row_table(row, hidden=(FINGERPRINT,), methods=BASELINES))


def _objectives(cfg: DictConfig, row: Row) -> list[float]:
    numbers = {k: float(v) for k, v in row.items() if isinstance(v, (int, float))}
    for key in cfg.objectives:
        if key not in numbers:
            near = ", ".join(get_close_matches(key, numbers)) or ", ".join(sorted(numbers)[:8])
            raise ValueError(
                f"objectives={list(cfg.objectives)}: the row has no number {key}; similar: {near}. "
                "Give keys of row.json."
            )
    return [numbers[key] for key in cfg.objectives]


def finished_before(cfg: DictConfig, mark: str) -> Row | None:
    """The row of a finished equal job in the output folder; None if the job must run.

    The log holds the reason. With `rerun=true` the job always runs.
    """
    folder = output_dir()
    row, why = (None, "rerun=true") if cfg.rerun else finished_row(folder, mark)
    if row is not None:
        log.info("finished before, not run again: %s", folder)
        return row
    log.info("run (%s): %s", why, folder)
    start(folder)
    return None


def task_spec(cfg: DictConfig) -> TaskSpec:
    """`cfg.task`, ranges checked."""
    task = OmegaConf.to_object(cfg.task)
    assert isinstance(task, TaskSpec)
    return task


def open_job(cfg: DictConfig) -> tuple[Evaluation, Job]:
    """The evaluation and its job, after all fast checks; series of sizes are not yet read.

    Raises:
        ValueError, FileNotFoundError: a value out of range; missing data or models; data that do
            not match the models; no patient in the split.
    """
    spec, task = sampler_spec(cfg), task_spec(cfg)
    evaluation = load_evaluation(task.evaluation)
    job = Job(task, output_dir(), growth_spec(cfg), cfg.seed,
              command=typed_command("evaluate"))  # fmt: skip
    if task.name in tracking.FORECASTS:
        warn_of_prior(cfg)
    if evaluation.reads == SIZES:
        check_series(cfg, task)
        return evaluation, dataclasses.replace(job, data=_series_mark(cfg, task))
    one_of("task.split", task.split, ("train", "val", "test"))
    check_store(cfg)
    models = load_bundle(cfg, spec)
    check_grid(cfg, models)
    log.info("%s", models.name)
    names = phantom_patients(cfg, task.split, task.patients)
    store = open_store(cfg, patients=names)
    patients = names if names is not None else store.patients(task.split)[: task.patients]
    if not patients:
        raise ValueError(
            f"task.split={task.split}: it has no patient of {store.root} "
            f"({', '.join(f'{s}: {len(store.patients(s))}' for s in ('train', 'val', 'test'))}). "
            "Give task.split=val, or prepare with test patients (data.splits.test)."
        )
    return evaluation, dataclasses.replace(
        job, models=models, store=fitting_slices(store, models), patients=tuple(patients),
        device=resolve_device(cfg.accelerator),
        about={"data": cfg.data.kind, "split": task.split},
    )  # fmt: skip


def _series_mark(cfg: DictConfig, task: TaskSpec) -> Any:
    """Content for the fingerprint of the series, before they are read."""
    data = data_config(cfg)
    if task.series is not None:
        return []  # the fingerprint of the task includes the content of this file
    if data.kind == "phantom":
        return [data.name, repr(data.phantom)]
    store = SliceStore(store_root(cfg))
    return visit_marks(store, tuple(store.patients()))

"""From an evaluation config to one row: which slices, which job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.config.build import growth_spec, output_dir
from mechlearn.config.hardware import resolve_device
from mechlearn.config.schema import TaskConfig
from mechlearn.config.stores import check_slices, data_config, open_store
from mechlearn.data.selection import growth_slices, pair_rows
from mechlearn.data.store import SliceRow, SliceStore
from mechlearn.jobs.forecast import choose_slices
from mechlearn.jobs.gain import measure_gain
from mechlearn.jobs.grid import run_grid
from mechlearn.jobs.longitudinal import run_longitudinal
from mechlearn.jobs.models import ModelBundle
from mechlearn.jobs.rows import Row, read_table, write_table
from mechlearn.jobs.sizes import run_sizes
from mechlearn.records import AxialSlice
from mechlearn.report.longitudinal import longitudinal_figure
from mechlearn.report.sizes import size_figure
from mechlearn.report.style import save
from mechlearn.training.checkpoints import set_gain

__all__ = ["TASKS", "phantom_patients", "run_task", "spread", "task_config"]

log = logging.getLogger(__name__)
T = TypeVar("T")


def task_config(cfg: DictConfig) -> TaskConfig:
    """`cfg.task` as its dataclass, every value checked."""
    task = OmegaConf.to_object(cfg.task)
    assert isinstance(task, TaskConfig)
    one_of("task.name", task.name, tuple(TASKS))
    one_of("task.split", task.split, ("train", "val", "test"))
    if not task.min_area_mm2 >= 0:
        raise ValueError(f"task.min_area_mm2={task.min_area_mm2}: must be 0 or more.")
    for key in ("patients", "slices", "count"):
        value = getattr(task, key)
        if value is not None and value < 1:
            raise ValueError(f"task.{key}={value}: must be 1 or more, or null for all.")
    return task


def phantom_patients(cfg: DictConfig, split: str, limit: int | None) -> list[str] | None:
    """Names of the first patients of a phantom split, None for other data."""
    data = data_config(cfg)
    if data.kind != "phantom":
        return None
    return [key.name for key in data.phantom.patients(split)][:limit]


def spread(groups: Sequence[Sequence[T]], limit: int | None) -> list[T]:
    """At most `limit` items, taken in turns from the groups, so that no patient dominates."""
    longest = max((len(group) for group in groups), default=0)
    turns = (group[i] for i in range(longest) for group in groups if i < len(group))
    return list(islice(turns, limit))


def run_task(cfg: DictConfig, models: ModelBundle) -> Row:
    """Open the data, run the job of `cfg.task` in the output folder and return its row."""
    task = task_config(cfg)
    names = phantom_patients(cfg, task.split, task.patients)
    store = open_store(cfg, patients=names)
    patients = names if names is not None else store.patients(task.split)[: task.patients]
    if not patients:
        raise ValueError(
            f"task.split={task.split}: no patient of {store.root} is in it "
            f"({', '.join(f'{s}: {len(store.patients(s))}' for s in ('train', 'val', 'test'))})."
        )
    check_slices(store, models)
    row = TASKS[task.name](cfg, task, models, store, patients)
    return {"data": cfg.data.kind, "split": task.split, **row}


def _grid(
    cfg: DictConfig, task: TaskConfig, models: ModelBundle, store: SliceStore, patients: list[str]
) -> Row:
    groups: dict[str, list[tuple[SliceRow, SliceRow]]] = {patient: [] for patient in patients}
    for pair in pair_rows(
        store, task.split, count=task.count, min_area_mm2=task.min_area_mm2,
        min_growth=task.min_growth,
    ):  # fmt: skip
        groups.get(pair[0].patient, []).append(pair)
    chosen = spread(list(groups.values()), task.slices)
    pairs = [(store.read(before), store.read(after)) for before, after in chosen]
    return models.row | run_grid(
        models.sampler, pairs, out_dir=output_dir(), seed=cfg.seed, n_examples=task.examples
    )


def _longitudinal(
    cfg: DictConfig, task: TaskConfig, models: ModelBundle, store: SliceStore, patients: list[str]
) -> Row:
    groups = [
        growth_slices(
            store, patient, count=task.count, min_area_mm2=task.min_area_mm2,
            min_growth=0.0 if task.min_growth is None else task.min_growth,
            rt_duration_days=growth_spec(cfg).rt_duration_days,
        )
        for patient in patients
    ]
    folder = output_dir()
    row = run_longitudinal(
        models.sampler, spread(groups, task.slices), out_dir=folder, growth=growth_spec(cfg),
        maps=task.maps, seed=cfg.seed, about=models.row,
    )  # fmt: skip
    _draw(folder / "longitudinal.png", folder / "slices.csv", longitudinal_figure)
    return row


def _sizes(
    cfg: DictConfig, task: TaskConfig, models: ModelBundle, store: SliceStore, patients: list[str]
) -> Row:
    groups = [_first_visit(store, patient, task.count) for patient in patients]
    folder = output_dir()
    row = run_sizes(
        models.sampler, spread(groups, task.slices), multiples=task.multiples, seed=cfg.seed,
        out_dir=folder,
    )  # fmt: skip
    _draw(folder / "sizes.png", folder / "sizes.csv", size_figure)
    return row | models.row


def _gain(
    cfg: DictConfig, task: TaskConfig, models: ModelBundle, store: SliceStore, patients: list[str]
) -> Row:
    """Measure the guide's gain on validation slices and store it in the guide's checkpoint."""
    if cfg.checkpoints.guide == "demo":
        raise ValueError(
            "checkpoints.guide=demo: the packaged weights are not rewritten. Give the path of the "
            "guide whose gain is to be stored in it."
        )
    groups = [_first_visit(store, patient, task.count) for patient in patients]
    found = measure_gain(
        models.denoiser, models.guide, spread(groups, task.slices), spec=models.sampler.spec,
        device=resolve_device(cfg.accelerator),
    )  # fmt: skip
    responses = [
        {"scale": s, "measured_response": m, "claimed_response": c}
        for s, m, c in zip(found.scales, found.measured, found.claimed, strict=True)
    ]
    write_table(output_dir() / "responses.csv", responses, first=("scale",))
    how = {"gain_n_slices": found.n_slices, "gain_sampler": asdict(models.sampler.spec)}
    set_gain(models.guide.source, found.gain, **how)
    log.info("gain %.4g stored in %s", found.gain, models.guide.source)
    return {
        "job": "gain", "guide": models.guide.kind, "gain": found.gain, "n_slices": found.n_slices,
        "best_measured_response": max(found.measured),
    }  # fmt: skip


def _first_visit(store: SliceStore, patient: str, count: int) -> list[AxialSlice]:
    session = store.visits(patient)[0].session
    try:
        wanted = choose_slices(store, patient, session=session, count=count)
    except ValueError as error:  # a clean first scan says nothing about size: left out, not fatal
        log.warning("left out: %s", error)
        return []
    rows = {row.z: row for row in store.slices(patient=patient, session=session)}
    return [store.read(rows[z]) for z in wanted]


def _draw(path: Path, table: Path, figure: Callable[[list[Row]], Figure]) -> None:
    log.info("figure: %s", save(figure(read_table(table)), path))


TASKS = {"gain": _gain, "grid": _grid, "longitudinal": _longitudinal, "sizes": _sizes}

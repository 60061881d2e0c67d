"""From an evaluation config to one row: which slices, which job."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import in_range, one_of, positive
from mechlearn.config.growth_config import growth_spec
from mechlearn.config.growth_tasks import GROWTH_TASKS
from mechlearn.config.hardware import resolve_device
from mechlearn.config.schema import TaskConfig
from mechlearn.config.specs import output_dir
from mechlearn.config.stores import fitting_slices, open_store, phantom_patients
from mechlearn.data.selection import growth_slices, pair_rows, spread
from mechlearn.data.store import SliceRow, SliceStore
from mechlearn.evaluation.gain import measure_gain
from mechlearn.evaluation.longitudinal import run_longitudinal
from mechlearn.evaluation.model_pair import ModelBundle
from mechlearn.evaluation.noise_scale_grid import GridCase, multiples_of, next_visits, run_grid
from mechlearn.evaluation.patient_forecast import choose_slices
from mechlearn.evaluation.rows import Row, read_table, write_table
from mechlearn.evaluation.size_response import run_sizes
from mechlearn.growth.models import get_growth_model
from mechlearn.models.checkpoints import set_gain
from mechlearn.records import AxialSlice
from mechlearn.report.longitudinal_figures import forecast_scores_figure, longitudinal_figure
from mechlearn.report.size_figure import size_figure
from mechlearn.report.style import save

__all__ = ["TASKS", "TaskInputs", "open_task", "run_task", "task_config"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskInputs:
    """What a task reads; a task of sizes alone has no models and opens its series itself."""

    task: TaskConfig
    models: ModelBundle | None = None
    store: SliceStore | None = None
    patients: tuple[str, ...] = ()


def task_config(cfg: DictConfig) -> TaskConfig:
    """`cfg.task` as its dataclass, every value checked."""
    task = OmegaConf.to_object(cfg.task)
    assert isinstance(task, TaskConfig)
    one_of("task.name", task.name, (*TASKS, *GROWTH_TASKS))
    if task.name in TASKS:  # sizes alone may come from elsewhere: `series.check_series`
        one_of("task.split", task.split, ("train", "val", "test"))
    in_range("task.folds", task.folds, 2, 1000)
    if task.floor is not None:
        positive("task.floor", task.floor)
    if not task.laws:
        raise ValueError("task.laws=[]: at least one law is needed, such as task.laws=[ode].")
    for law in task.laws:
        get_growth_model(law)
    for key in ("min_area_mm2", "min_change"):
        if not getattr(task, key) >= 0:
            raise ValueError(f"task.{key}={getattr(task, key)}: must be 0 or more.")
    for multiple in task.multiples:
        positive("task.multiples", multiple)
    for key in ("patients", "slices", "count"):
        value = getattr(task, key)
        if value is not None and value < 1:
            raise ValueError(f"task.{key}={value}: must be 1 or more, or null for all.")
    return task


def open_task(cfg: DictConfig, models: ModelBundle | None) -> TaskInputs:
    """The models of `cfg.task` with the slices and patients that it is about.

    Raises:
        ValueError: no patient in the split.
    """
    task = task_config(cfg)
    if models is None:
        return TaskInputs(task)
    names = phantom_patients(cfg, task.split, task.patients)
    store = open_store(cfg, patients=names)
    patients = names if names is not None else store.patients(task.split)[: task.patients]
    if not patients:
        raise ValueError(
            f"task.split={task.split}: no patient of {store.root} is in it "
            f"({', '.join(f'{s}: {len(store.patients(s))}' for s in ('train', 'val', 'test'))}). "
            "Give task.split=val, or prepare with test patients (data.splits.test)."
        )
    return TaskInputs(task, models, fitting_slices(store, models), tuple(patients))


def run_task(cfg: DictConfig, inputs: TaskInputs) -> Row:
    """Run the job of `cfg.task` in the output folder and return its row."""
    task, models, store = inputs.task, inputs.models, inputs.store
    if models is None or store is None:
        return GROWTH_TASKS[task.name](cfg, task)
    row = TASKS[task.name](cfg, task, models, store, list(inputs.patients))
    return {"data": cfg.data.kind, "split": task.split, **row}


def _grid(
    cfg: DictConfig, task: TaskConfig, models: ModelBundle, store: SliceStore, patients: list[str]
) -> Row:
    if task.multiples:
        groups = [_first_visit(store, patient, task.count) for patient in patients]
        cases = multiples_of(spread(groups, task.slices), task.multiples)
    else:
        cases = _towards_next_visit(task, store, patients)
    return models.row | run_grid(
        models.sampler, cases, out_dir=output_dir(), seed=cfg.seed, n_examples=task.examples
    )


def _towards_next_visit(
    task: TaskConfig, store: SliceStore, patients: list[str]
) -> list[GridCase]:
    """Pairs of visits whose size changes enough, taken in turns from the patients."""
    groups: dict[str, list[tuple[SliceRow, SliceRow]]] = {patient: [] for patient in patients}
    for before, after in pair_rows(
        store, task.split, count=task.count, min_area_mm2=task.min_area_mm2,
        min_growth=task.min_growth,
    ):  # fmt: skip
        change = abs(after.tumour_area_mm2 / before.tumour_area_mm2 - 1)
        if before.patient in groups and change >= task.min_change:
            groups[before.patient].append((before, after))
    chosen = spread(list(groups.values()), task.slices)
    if not chosen:
        raise ValueError(
            f"task.min_change={task.min_change:g}, task.min_growth={task.min_growth}: no pair of "
            f"consecutive visits of {len(patients)} patients in split {task.split} changes so "
            "much. Ask for less, or give task.multiples for patients of one visit."
        )
    return next_visits(
        [(store.read(before, surroundings=True), store.read(after)) for before, after in chosen]
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
    reliability = [
        [r["probability"], r["frequency"], r["pixels"]]
        for r in read_table(folder / "reliability.csv")
    ]
    _draw(folder / "forecast_scores.png", folder / "slices.csv",
          lambda rows: forecast_scores_figure(rows, np.array(reliability)))
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
    if cfg.checkpoints.guide == "demo" or not Path(models.guide.source).is_file():
        raise ValueError(
            f"checkpoints.guide={cfg.checkpoints.guide}: packaged weights and exported pairs are "
            "not rewritten. Give the checkpoint of the guide whose gain is to be stored in it."
        )
    spec = models.sampler.spec
    if spec.guidance != "paper":
        raise ValueError(
            f"sampler.guidance={spec.guidance}: a gain is what makes "
            "s_ct of eq. (2) mean the same for every guide; here none is used. Take sampler=fast."
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
    return [store.read(rows[z], surroundings=True) for z in wanted]


def _draw(path: Path, table: Path, figure: Callable[[list[Row]], Figure]) -> None:
    log.info("figure: %s", save(figure(read_table(table)), path))


TASKS = {"gain": _gain, "grid": _grid, "longitudinal": _longitudinal, "sizes": _sizes}

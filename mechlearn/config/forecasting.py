"""The slice forecast of one patient: NIfTI files, figures, a page and a row."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table as ScreenTable
from rich.text import Text

from mechlearn.config.growth_config import course_change, growth_spec, prior_note
from mechlearn.config.model_checks import check_forecast, check_grid
from mechlearn.config.specs import map_spec, output_dir, plain_values, typed_command
from mechlearn.config.stores import data_config, fitting_slices, make_store, open_store
from mechlearn.data.manifest import read_manifest
from mechlearn.data.nifti import write_growth_map, write_labels, write_scans
from mechlearn.data.store import SliceStore
from mechlearn.data.validation.told import warnings_of
from mechlearn.evaluation.forecast_day import day_of
from mechlearn.evaluation.model_pair import ModelBundle
from mechlearn.evaluation.patient_forecast import ForecastResult, run_forecast
from mechlearn.evaluation.rows import write_row, write_table
from mechlearn.evaluation.slice_forecast import SliceForecast
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.identifiability import identifiability
from mechlearn.report.fan import NOT_EVIDENCE
from mechlearn.report.forecast_figure import forecast_figure
from mechlearn.report.page import Section, number, write_page
from mechlearn.report.page_sections import overview_table, slice_section
from mechlearn.report.style import save

__all__ = ["forecast_and_show", "forecast_patient", "open_patient", "write_results"]

log = logging.getLogger(__name__)


def forecast_and_show(cfg: DictConfig) -> None:
    """The slice forecast of the paper: writes files to the output folder, prints a table."""
    bundle = check_forecast(cfg)
    log.info("%s", bundle.name)
    store, result = forecast_patient(cfg, bundle)
    written = write_results(output_dir(), cfg, bundle, store, result)
    _show(result)
    for path in written:
        Console().print(str(path), highlight=False, soft_wrap=True, markup=False)


def _show(result: ForecastResult) -> None:
    """Print the forecast, one column a slice."""
    rows = result.table()
    heads = [f"z {item.reference.z}" for item in result.slices]
    asked = result.row.get("what_if")
    words = None if asked is None else Text(f"What if: {asked} ({NOT_EVIDENCE}).")
    title = Text(f"{result.patient}, day {result.day:g}")
    table = ScreenTable("", *heads, title=title, caption=words)
    for key in list(rows[0])[1:]:  # the first is the slice's name
        table.add_row(key, *(number(row.get(key)) for row in rows))
    Console().print(table)


def _one(names: list[str], wanted: str | None, where: str) -> str:
    """The named patient, or the only one."""
    if wanted is None and len(names) == 1:
        return names[0]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if wanted is None:
        raise ValueError(
            f"patient_id=null: {where} holds {len(names)} patients ({shown}). Name one of them."
        )
    if wanted not in names:
        raise ValueError(f"patient_id={wanted}: not in {where}, which holds {shown}.")
    return wanted


def open_patient(cfg: DictConfig, models: ModelBundle) -> tuple[SliceStore, str]:
    """(store, patient); a patient of a manifest is prepared on the grid of the models."""
    data = data_config(cfg)
    if data.kind == "phantom":
        names = [key.name for key in data.phantom.patients()]
        patient = _one(names, cfg.patient_id or names[-1], "the phantom cohort")
        check_grid(cfg, models)
        return open_store(cfg, patients=[patient]), patient
    if data.kind != "manifest":
        check_grid(cfg, models)
        store = open_store(cfg)
        return store, _one(store.patients(), cfg.patient_id, str(store.root))
    records = read_manifest(str(data.manifest))
    names = list(dict.fromkeys(record.patient for record in records))
    patient = _one(names, cfg.patient_id, str(data.manifest))
    model = models.denoiser
    grid = {
        "size": model.size, "pixel_mm": model.pixel_mm, "contrasts": list(model.contrasts),
        "percentiles": list(model.intensity["percentiles"]),
    }  # fmt: skip
    own = OmegaConf.merge(cfg, {"data": {"prepare": grid}})
    assert isinstance(own, DictConfig)
    if not data.skip_bad:
        theirs = [record for record in records if record.patient == patient]
        for text in warnings_of(theirs, data_config(own).prepare, grid=True):
            log.warning("%s", text)
    return make_store(own, patients=[patient]), patient


def forecast_patient(cfg: DictConfig, models: ModelBundle) -> tuple[SliceStore, ForecastResult]:
    """Prepare the patient of `cfg` and forecast `cfg.day`, or the day of the last visit."""
    store, patient = open_patient(cfg, models)
    store = fitting_slices(store, models)
    return store, run_forecast(
        store, patient, day=_day(cfg, store, patient), sampler=models.sampler,
        growth=growth_spec(cfg), maps=map_spec(cfg.maps), count=cfg.count, seed=cfg.seed,
        what_if=course_change(cfg),
    )  # fmt: skip


def _day(cfg: DictConfig, store: SliceStore, patient: str) -> float:
    days = [visit.day for visit in store.visits(patient)]
    if cfg.day is not None:
        return day_of(cfg.day, days[-1], patient)
    if len(days) < 2 or days[-1] is None:
        raise ValueError(
            f"day=null holds out the last visit, but {patient} has {len(days)} visit(s) on days "
            f"{days}. Give the day to forecast: day=120."
        )
    return float(days[-1])


def write_results(
    folder: Path, cfg: DictConfig, models: ModelBundle, store: SliceStore, result: ForecastResult
) -> list[Path]:
    """Write row.json, slices.csv, NIfTI files, one PNG a slice and forecast.html; returns the
    paths."""
    write_table(folder / "slices.csv", [s.row for s in result.slices], first=("slice_id", "z"))
    written = _write_nifti(folder, store, result)
    for item in result.slices:
        name = f"slice_z{item.reference.z:03d}.png"
        written.append(save(forecast_figure(**item.drawing), folder / name))
    growth = growth_spec(cfg)
    sections = [_overview(result, prior_note(cfg))] + [
        slice_section(
            **item.drawing, comparison=item.comparison, identified=_identified(item, growth)
        )
        for item in result.slices
    ]
    page = write_page(
        folder / "forecast.html",
        title=f"{result.patient}: forecast for day {result.day:g}",
        sections=sections,
        model=models.name,
        settings=_settings(cfg),
        commands=[typed_command("forecast")],
    )
    write_row(folder, result.row | models.row)
    return [page, *written]


def _overview(result: ForecastResult, note: str | None) -> Section:
    return Section(
        "Overview",
        [f"Left out: {name}: {reason}" for name, reason in result.skipped],
        [overview_table(result.table(), what_if=str(result.row.get("what_if", "")))],
        warnings=[] if note is None else [note],
    )


def _identified(item: SliceForecast, spec: GrowthSpec) -> str:
    """Report on the identifiability of the parameters; empty with a population prior."""
    if item.forecast.population:
        return ""
    if item.forecast.law == spec.fallback:  # bounds and values are of the other growth model
        spec = dataclasses.replace(
            spec, law=spec.fallback, population=None, fallback=None, bounds={}, fixed={}, tied={}
        )
    try:
        return identifiability(item.timeline, spec.law, spec).text()
    except (ValueError, RuntimeError) as error:
        return f"Not computed: {error}"


def _settings(cfg: DictConfig) -> dict[str, object]:
    """The settings of the forecast by dotted key."""
    out: dict[str, object] = {}

    def walk(prefix: str, node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(f"{prefix}.{key}" if prefix else str(key), value)
        else:
            out[prefix] = str(node) if isinstance(node, list) else node

    kept = ("seed", "patient", "patient_id", "day", "count", "maps", "what_if", "sampler", "growth",
            "guide", "checkpoints")
    walk("", {key: value for key, value in plain_values(cfg).items() if key in kept})
    return out


def _write_nifti(folder: Path, store: SliceStore, result: ForecastResult) -> list[Path]:
    """Write growth probability, forecast mask and generated scans on the last scan's voxel grid."""
    visit = store.visit(result.patient, result.session)
    paths = [
        write_growth_map(visit, result.probabilities(), folder / "growth_probability.nii.gz"),
        write_labels(visit, result.masks(), folder / "forecast_mask.nii.gz"),
    ]
    scans = write_scans(visit, result.scans(), folder, stem="forecast")
    return [*paths, *scans.values()]

"""The forecast command in three dimensions: volume, growth map and masks of one patient."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mechlearn.api import Forecast, Patient, forecast
from mechlearn.checks import one_of
from mechlearn.config.growth_config import course_change
from mechlearn.config.specs import output_dir, sampler_spec, typed_command, typed_words
from mechlearn.data.patients import one_of_patients, patients_of_records, patients_of_table
from mechlearn.data.patients_table import known_patient
from mechlearn.evaluation.last_visit import TEMPLATE
from mechlearn.evaluation.rows import write_row, write_table

if TYPE_CHECKING:
    from mechlearn.evaluation.forecast_scans import DrawnScans

__all__ = [
    "MODES",
    "forecast_and_show",
    "forecast_mode",
    "open_volume_patient",
    "run_volume_forecast",
]

log = logging.getLogger(__name__)
MODES = ("auto", "volume", "slices")
SLICE_GROUPS = ("growth", "sampler", "guide", "maps")  # that mode=slices alone uses
SLICE_KEYS = ("count", "checkpoints.denoiser", "checkpoints.guide")


def forecast_mode(cfg: DictConfig) -> str:
    """`volume` or `slices`.

    `auto` is slices for phantoms, for a counterfactual, and where a key of that mode was typed
    (`SLICE_KEYS`): a choice of the user is never ignored.
    """
    mode = one_of("mode", cfg.mode, MODES)
    typed = _typed_slice_keys()
    if mode == "volume" and typed:
        log.warning("mode=volume does not use %s; mode=slices does", ", ".join(typed))
    if mode != "auto":
        return mode
    asked = any(value is not None for value in cfg.what_if.values())
    if not (asked or typed or cfg.data.kind == "phantom"):
        return "volume"
    if cfg.patients_table is not None:
        log.warning("mode=slices does not use patients_table; mode=volume does")
    return "slices"


def _typed_slice_keys() -> list[str]:
    keys = [word.partition("=")[0].lstrip("+") for word in typed_words()]
    return [k for k in keys if k in SLICE_KEYS or k.split(".")[0] in SLICE_GROUPS]


def forecast_and_show(cfg: DictConfig) -> None:
    """The volume forecast: files in the output folder, a table on the screen."""
    sampler_spec(cfg)
    course_change(cfg)
    result, written = run_volume_forecast(cfg, output_dir())
    title = Text(f"{result.details.patient.name}, day {result.size.day:g}")
    table = Table("", "", "", title=title, show_header=False)
    for row in result.table():
        table.add_row(str(row["quantity"]), f"{row['value']:.3g}", str(row["unit"]))
    console = Console()
    console.print(table)
    console.print(f"prior: {result.size.population or 'none'}", markup=False)
    console.print(result.size.guarantee, markup=False, highlight=False)
    for path in written:
        console.print(str(path), highlight=False, soft_wrap=True, markup=False)


def open_volume_patient(cfg: DictConfig) -> Patient:
    """The patient of `patient=` (a CSV, or the folder of one visit) or of `data=`.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: several patients and no `patient_id`; a row that breaks a rule.
    """
    name = None if cfg.patient_id is None else str(cfg.patient_id)
    source = cfg.patient if cfg.patient is not None else cfg.data.manifest
    if source is not None and Path(str(source)).expanduser().is_dir():
        return Patient.from_folder(str(source), name)
    if source is not None:
        found, where = patients_of_table(str(source)), str(source)
    else:
        from mechlearn.config.stores import data_config, source_records

        data = data_config(cfg)
        found = patients_of_records(source_records(data, None), where=str(data.root))
        where = str(data.root)
    chosen = known_patient(one_of_patients(found, name, where), cfg.patients_table)
    return Patient.from_visits(
        chosen.name, chosen.visits, radiotherapy=chosen.radiotherapy,
        treatments=chosen.treatments, covariates=chosen.covariates,
    )  # fmt: skip


def _drawn(cfg: DictConfig, result: Forecast) -> DrawnScans | None:
    """Drawn slices; None where none are asked for or can be drawn, with the reason in the log."""
    details = result.details
    if cfg.draw == 0 or details.scan is None or TEMPLATE in details.contrasts:
        return None
    try:
        drawn = result.draw(count=cfg.draw, checkpoint=cfg.checkpoints.drawer, seed=cfg.seed)
    except (ModuleNotFoundError, ValueError) as error:
        log.warning("no scan is drawn: %s", error)
        return None
    for text in drawn.problems:
        log.warning("%s", text)
    return drawn


def run_volume_forecast(cfg: DictConfig, folder: Path) -> tuple[Forecast, list[Path]]:
    """Forecast, then write row.json, forecast.csv, NIfTI files and forecast.html."""
    patient = open_volume_patient(cfg)
    day = cfg.day
    if day is None:
        last = patient.visits[-1].day
        if len(patient.visits) < 2 or last is None:
            raise ValueError(
                f"day=null holds the last visit out, but {patient.name} has "
                f"{len(patient.visits)} visit(s). Give the day to forecast: day=120 or day=+60."
            )
        day = last
    result = forecast(patient, day, prior=cfg.prior, where=cfg.where)
    for text in result.warnings:
        log.warning("%s", text)
    rows = result.table()
    write_table(folder / "forecast.csv", rows, first=("quantity", "value", "unit"))
    written = result.to_nifti(folder)
    drawn = _drawn(cfg, result)
    if drawn is not None:
        written += drawn.write(folder)
    try:
        page = result.report(folder / "forecast.html", drawn=drawn,
                             commands=[typed_command("forecast")])  # fmt: skip
        written.insert(0, page)
    except ModuleNotFoundError as error:
        log.warning("no page is written: %s", error)
    low, high = result.size.interval(0.95)
    write_row(folder, {
        "job": "forecast", "mode": "volume", "patient": patient.name, "day": result.size.day,
        "n_visits": len(result.series.visits), "day_last": result.series.visits[-1].day,
        "volume_last_mm3": result.series.visits[-1].size,
        "forecast_median_mm3": result.size.median, "forecast_low_mm3": low,
        "forecast_high_mm3": high, "law": result.size.law, "population": result.size.population,
        "settings": str(OmegaConf.to_container(cfg, resolve=True)),
    })  # fmt: skip
    return result, written

"""The forecast command in 3D: volume, growth map and masks of one patient."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mechlearn import records
from mechlearn.api import Forecast, forecast
from mechlearn.checks import one_of
from mechlearn.config.forecast_files import RESULT, Finished, finished_before, write_forecast
from mechlearn.config.growth_config import course_change, growth_spec, prior_note
from mechlearn.config.specs import output_dir, sampler_spec, typed_command, typed_words
from mechlearn.data.dicom import Converted, convert_patient, holds_dicom
from mechlearn.data.patients import (
    one_of_patients,
    patient_of_folder,
    patients_of_records,
    patients_of_table,
)
from mechlearn.data.patients_table import known_patient
from mechlearn.evaluation.finished import code_digest, fingerprint
from mechlearn.evaluation.forecast_day import days_of, split_days
from mechlearn.evaluation.last_visit import TEMPLATE
from mechlearn.files import exclusive
from mechlearn.report.result_file import input_records

if TYPE_CHECKING:
    from mechlearn.evaluation.forecast_scans import DrawnScans
    from mechlearn.results import WhatIf

__all__ = [
    "MODES",
    "forecast_and_show",
    "forecast_mode",
    "open_volume_patient",
    "run_volume_forecast",
]

log = logging.getLogger(__name__)
MODES = ("auto", "volume", "slices")
SHOW = ("table", "quiet", "json")
SLICE_GROUPS = ("growth", "sampler", "guide", "maps")  # groups that only mode=slices uses
SLICE_KEYS = ("count", "checkpoints.denoiser", "checkpoints.guide")
PATIENT_KEYS = ("seed", "patient", "patient_id", "patients_table", "day", "prior", "where", "draw",
                "dicom_reference", "what_if", "growth", "checkpoints")  # fmt: skip


def forecast_mode(cfg: DictConfig) -> str:
    """`volume` or `slices`.

    `auto` is slices for phantoms, and where the command line has a key that only this mode uses.
    A counterfactual uses `growth` in both modes.
    """
    mode = one_of("mode", cfg.mode, MODES)
    typed = _typed_slice_keys(cfg)
    if mode == "volume" and typed:
        log.warning("mode=volume does not use %s; mode=slices does", ", ".join(typed))
    if mode != "auto":
        return mode
    if not (typed or cfg.data.kind == "phantom"):
        return "volume"
    if cfg.patients_table is not None:
        log.warning("mode=slices does not use patients_table; mode=volume does")
    return "slices"


def _typed_slice_keys(cfg: DictConfig) -> list[str]:
    keys = [word.partition("=")[0].lstrip("+") for word in typed_words()]
    groups = [g for g in SLICE_GROUPS if not (g == "growth" and _asks_what_if(cfg))]
    return [k for k in keys if k in SLICE_KEYS or k.split(".")[0] in groups]


def _asks_what_if(cfg: DictConfig) -> bool:
    return any(value is not None for value in cfg.what_if.values())


def forecast_and_show(cfg: DictConfig) -> None:
    """The volume forecast: writes files to the output folder, and prints what `show` names."""
    show = one_of("show", cfg.show, SHOW)
    if show != "table":
        _log_to_stderr(logging.WARNING)
    sampler_spec(cfg)
    course_change(cfg)  # checked before files are read
    folder = output_dir()
    with exclusive(folder, what="writes a forecast into it"):
        done = run_volume_forecast(cfg, folder)
    if show == "json":
        sys.stdout.write((folder / RESULT).read_text())
    elif show == "table":
        _print(done)


def _log_to_stderr(level: int) -> None:
    """Log to standard error, so that standard output holds only the result."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
            handler.setStream(sys.stderr)
            handler.setLevel(level)


def _print(done: Finished) -> None:
    record = done.record
    table = Table("day", "volume (ml)", "95% interval (ml)", "larger than at the last visit",
                  title=Text(f"{record['patient']}: {_last_visit(record)}"))  # fmt: skip
    rows = [(f"{d['day']:g}", d["volume_ml"], f"{d['probability_of_growth']:.0%}")
            for d in record["days"]]  # fmt: skip
    if "what_if" in record:
        other = record["what_if"]
        ml = {k: v / 1000 for k, v in other["volume_mm3"].items()}
        rows.append((f"{other['day']:g}, what if {other['change']}", ml, ""))
    for day, ml, larger in rows:
        table.add_row(day, f"{ml['median']:.1f}", f"{ml['low']:.1f} to {ml['high']:.1f}", larger)
    console = Console()
    console.print(table)
    console.print(f"prior: {record['prior']['name']}", markup=False)
    console.print(record["days"][-1]["interval_stands_on"], markup=False, highlight=False)
    for path in done.paths:
        console.print(str(path), highlight=False, soft_wrap=True, markup=False)


def _last_visit(record: dict[str, Any]) -> str:
    visits = record["visits"]
    last = visits[-1]
    return (
        f"{len(visits)} visit{'s' if len(visits) > 1 else ''}, "
        f"{last['volume_mm3'] / 1000:.1f} ml on day {last['day']:g}"
    )


def open_volume_patient(cfg: DictConfig, dicom: Path) -> Converted:
    """The patient of `patient=` (a CSV, or the folder of one visit) or of `data=`.

    Args:
        cfg: config of the command.
        dicom: folder for NIfTI files converted from DICOM.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: several patients and no `patient_id`; an invalid row.
    """
    name = None if cfg.patient_id is None else str(cfg.patient_id)
    source = cfg.patient if cfg.patient is not None else cfg.data.manifest
    if source is not None and not str(source).strip():
        raise ValueError("patient=: is empty. Give a table of visits, or the folder of one visit.")
    if source is not None and (folder := Path(str(source)).expanduser()).is_dir():
        return patient_of_folder(folder, name, nifti=dicom)
    if source is not None:
        found, where = patients_of_table(str(source)), str(source)
    else:
        from mechlearn.config.stores import data_config, source_records

        data = data_config(cfg)
        found = patients_of_records(source_records(data, None), where=str(data.root))
        where = str(data.root)
    chosen = known_patient(one_of_patients(found, name, where), cfg.patients_table)
    return convert_patient(chosen, dicom)


def _days(cfg: DictConfig, patient: records.Patient) -> list[float]:
    if cfg.day is not None:
        return days_of(split_days(cfg.day), patient)
    last = patient.visits[-1].day
    if len(patient.visits) < 2 or last is None:
        raise ValueError(
            f"day=null holds out the last visit, but {patient.name} has "
            f"{len(patient.visits)} visit(s). Give the day to forecast: day=120 or day=+60."
        )
    return [last]


def _drawn(cfg: DictConfig, result: Forecast, keep: Path, quantiles: Sequence[float]
           ) -> DrawnScans | None:  # fmt: skip
    """Generated slices; None if none are requested or possible (the log has the reason)."""
    details = result.details
    if cfg.draw == 0 or details.scan is None or TEMPLATE in details.contrasts:
        return None
    try:
        drawn = result.draw(
            count=cfg.draw, checkpoint=cfg.checkpoints.drawer, seed=cfg.seed, keep=keep,
            quantiles=quantiles,
        )  # fmt: skip
    except (ModuleNotFoundError, ValueError) as error:
        log.warning("no scan is drawn: %s", error)
        return None
    for text in drawn.problems:
        log.warning("%s", text)
    return drawn


def _what_if(cfg: DictConfig, result: Forecast) -> WhatIf | None:
    change = course_change(cfg)
    if change is None:
        return None
    if (note := prior_note(cfg)) is not None:
        log.warning("%s", note)
    return result.what_if(growth=growth_spec(cfg), change=change)


def run_volume_forecast(cfg: DictConfig, folder: Path) -> Finished:
    """Forecast and write; a finished equal forecast in the folder is returned unchanged."""
    course_change(cfg)  # checked before files are read
    opened = open_volume_patient(cfg, folder / "nifti")
    patient = opened.patient
    days = _days(cfg, patient)
    settings = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(settings, dict)
    kept = {str(k): settings[k] for k in PATIENT_KEYS}
    inputs = input_records(patient.before(days[0]), tables=_tables(cfg))
    known = {"visits": str(patient), "inputs": inputs}
    mark = fingerprint({"settings": kept, "code": code_digest(), **known})
    if (before := finished_before(folder, mark)) is not None:
        log.info("%s already holds this forecast", folder)
        return before
    dicom = _reference(cfg, opened, days[0])
    _announce(cfg, patient, days, folder)
    results = forecast(patient, days, prior=cfg.prior, where=cfg.where)
    for text in results[-1].warnings:
        log.warning("%s", text)
    keep = folder / ".drawn"
    what_if = _what_if(cfg, results[-1])  # before the drawing, because it can raise
    drawn = _drawn(cfg, results[-1], keep, (0.5, 0.9))
    if what_if is not None:
        what_if = what_if.with_drawn(_drawn(cfg, what_if.result, keep, (0.5,)))
    done = write_forecast(
        folder, results, drawn=drawn, what_if=what_if, settings=kept,
        command=typed_command("forecast"), mark=mark, inputs=inputs,
        dicom=dicom,
    )  # fmt: skip
    shutil.rmtree(keep, ignore_errors=True)
    return done


def _reference(cfg: DictConfig, opened: Converted, day: float) -> Path | None:
    """DICOM series that a DICOM SEG of the map refers to; None writes no DICOM SEG."""
    if cfg.dicom_reference is not None:
        folder = Path(str(cfg.dicom_reference)).expanduser()
        if not folder.is_dir() or not holds_dicom(folder):
            raise ValueError(f"dicom_reference={folder}: holds no DICOM. Give a series' folder.")
        return folder
    images = opened.patient.before(day).visits[-1].images.values()
    return next((opened.series[path] for path in images if path in opened.series), None)


def _tables(cfg: DictConfig) -> dict[str, Path]:
    """Input files of the forecast other than images and masks."""
    named = {"visits": cfg.patient if cfg.patient is not None else cfg.data.manifest,
             "patients_table": cfg.patients_table, "prior": cfg.prior}  # fmt: skip
    given = {role: Path(str(text)).expanduser() for role, text in named.items() if text is not None}
    return {role: path for role, path in given.items() if path.is_file()}


def _announce(
    cfg: DictConfig, patient: records.Patient, days: Sequence[float], folder: Path
) -> None:
    """Log what is computed and the output folder, before the computation starts."""
    visits = patient.before(days[0]).visits
    last = visits[-1]
    parts = ["size"] + (["growth map"] if last.seg is not None or last.masks else [])
    if last.images and len(parts) > 1 and cfg.draw:
        parts.append(f"{cfg.draw} generated slices")
    if _asks_what_if(cfg):
        parts.append("counterfactual")
    log.info(
        "%s: %d visit(s), the last on day %g; forecast for day %s: %s", patient.name, len(visits),
        last.day, ", ".join(f"{d:g}" for d in days), ", ".join(parts),
    )  # fmt: skip
    log.info("output: %s", folder)

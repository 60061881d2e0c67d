"""The files of a volume forecast: NIfTI, tables, the page, result.json."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechlearn.api import Forecast
from mechlearn.data.dicom_seg import write_contours
from mechlearn.evaluation.rows import write_row, write_table
from mechlearn.evaluation.volume_forecast import LEVELS
from mechlearn.files import read_json, write_json
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.report.result_file import (
    day_record,
    digest_of,
    file_records,
    result_record,
)

if TYPE_CHECKING:
    from mechlearn.evaluation.forecast_scans import DrawnScans
    from mechlearn.results import WhatIf

__all__ = ["RESULT", "Finished", "finished_before", "write_forecast"]

log = logging.getLogger(__name__)
RESULT = "result.json"
COLUMNS = ("day", "date", "quantity", "value", "unit")


@dataclass(frozen=True, eq=False)
class Finished:
    """The content of result.json, and the written paths, the page first."""

    record: dict[str, Any]
    paths: tuple[Path, ...]


def finished_before(folder: Path, mark: str) -> Finished | None:
    """The finished forecast with this fingerprint in `folder`; None if there is none or a file is
    missing."""
    if not (folder / RESULT).is_file():
        return None
    record = read_json(folder / RESULT)
    paths = tuple(folder / f["path"] for f in record.get("files", ()))
    if record.get("fingerprint") != mark or not all(p.is_file() for p in paths):
        return None
    return Finished(record, paths)


def write_forecast(
    folder: Path, results: Sequence[Forecast], *, drawn: DrawnScans | None, what_if: WhatIf | None,
    settings: dict[str, Any], command: str, mark: str, inputs: list[dict[str, Any]],
    dicom: Path | None = None,
) -> Finished:
    """Write all files into `folder`, result.json last: its presence means a complete forecast.

    Args:
        folder: of the run.
        results: by day.
        drawn: generated scans of the last day.
        what_if: a counterfactual of the last day.
        settings: the config as builtins. command: as typed. mark: fingerprint of the run.
        inputs: result of `input_records`.
        dicom: reference series for a DICOM SEG of the masks; None writes no DICOM SEG.
    """
    several = len(results) > 1
    paths: list[Path] = []
    for result in results:
        place = folder / f"day{result.size.day:g}" if several else folder
        paths += result.to_nifti(place)
        if dicom is not None:
            paths += _dicom_seg(result, dicom, place / "forecast_contours.dcm")
    if what_if is not None:
        paths += what_if.result.to_nifti(folder / "what_if")
    if drawn is not None:
        paths += drawn.write(folder)
    paths.append(write_table(folder / "forecast.csv", _rows(results, what_if), first=COLUMNS))
    try:
        page = results[0].report(
            folder / "forecast.html", later=results[1:], drawn=drawn, what_if=what_if,
            commands=[command], settings=_flat(settings),
        )  # fmt: skip
        paths.insert(0, page)
    except ModuleNotFoundError as error:
        log.warning("no page is written: %s", error)
    record = _record(folder, results, drawn, what_if, settings, command, inputs, paths)
    record["fingerprint"] = mark
    write_json(folder / RESULT, record)
    write_row(folder, _row(results[-1], settings))
    return Finished(record, (*paths, folder / RESULT))


def _dicom_seg(result: Forecast, reference: Path, path: Path) -> list[Path]:
    made, scan = result.details.growth_map, result.details.scan
    if made is None or scan is None:
        return []
    try:
        return [write_contours(made.probability, scan.affine, reference, path, levels=LEVELS)]
    except (ModuleNotFoundError, ValueError) as error:
        log.warning("no DICOM SEG is written: %s", error)
        return []


def _record(
    folder: Path, results: Sequence[Forecast], drawn: DrawnScans | None, what_if: WhatIf | None,
    settings: dict[str, Any], command: str, inputs: list[dict[str, Any]], paths: Sequence[Path],
) -> dict[str, Any]:
    last = results[-1].details
    days = [
        day_record(r.size, r.series, r.sections(), r.details.patient.first_date) for r in results
    ]
    return result_record(
        patient=last.patient, series=last.series, days=days, seed=int(settings["seed"]),
        settings=settings, command=command,
        prior=_prior(settings["prior"], last.series.compartment),
        weights=[] if drawn is None else [_weights(drawn)],
        warnings=[*last.warnings, *(drawn.problems if drawn is not None else [])],
        inputs=inputs, files=file_records(folder, paths),
        drawn=drawn.sizes() if drawn is not None else (),
        what_if=None if what_if is None else what_if.details.change,
        what_if_origin="" if what_if is None else what_if.details.origin,
    )  # fmt: skip


def _prior(source: str | None, compartment: str) -> dict[str, Any]:
    prior = load_size_prior(source, compartment)
    text = json.dumps(prior.plain(), sort_keys=True)
    return {
        "source": source or "auto", "name": prior.describe(), "about": dict(prior.about),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip


def _weights(drawn: DrawnScans) -> dict[str, Any]:
    model, source = drawn.model, Path(drawn.model.source)
    out: dict[str, Any] = {"role": "drawer", "source": source.name, "digest": model.digest}
    if source.is_file():
        out["sha256"] = digest_of(source)
    return out | {k: model.card[k] for k in ("trained_on", "training_steps", "version", "git")
                  if k in model.card}  # fmt: skip


def _rows(results: Sequence[Forecast], what_if: WhatIf | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for result in results:
        rows += [{"day": result.size.day, **row} for row in result.table()]
    if what_if is not None:
        low, high = what_if.result.size.interval(0.95)
        named = {"median": what_if.result.size.median, "95% interval, lower end": low,
                 "95% interval, upper end": high}  # fmt: skip
        rows += [
            {"day": what_if.result.size.day, "quantity": f"what if {what_if.change}: {name}",
             "value": value / 1000, "unit": "ml"}
            for name, value in named.items()
        ]  # fmt: skip
    return rows


def _row(result: Forecast, settings: dict[str, Any]) -> dict[str, Any]:
    """The row for `collect`."""
    low, high = result.size.interval(0.95)
    last = result.series.visits[-1]
    return {
        "job": "forecast", "mode": "volume", "patient": result.details.patient.name,
        "day": result.size.day, "n_visits": len(result.series.visits), "day_last": last.day,
        "volume_last_mm3": last.size, "forecast_median_mm3": result.size.median,
        "forecast_low_mm3": low, "forecast_high_mm3": high, "law": result.size.law,
        "population": result.size.population, "settings": str(settings),
        "volume_true_mm3": None if result.truth is None else result.truth.size,
    }  # fmt: skip


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            out |= _flat(value, name)
        elif value is not None:
            out[name] = str(value)
    return out

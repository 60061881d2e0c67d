"""result.json of a forecast: results, inputs and written files with digests, versions.

The fields are listed in docs/commands.md.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import mechlearn
from mechlearn.records import Counterfactual, Patient, SizeForecast, SizeSeries

__all__ = ["FORMAT", "day_record", "digest_of", "file_records", "input_records", "result_record"]

FORMAT = {"format": "mechlearn forecast", "format_version": 1}
PACKAGES = ("numpy", "scipy", "nibabel", "scikit-fmm", "scikit-image", "lmfit", "torch", "monai")
LEVEL = 0.95


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def input_records(
    patient: Patient, *, tables: Mapping[str, Path] | None = None
) -> list[dict[str, Any]]:
    """One entry a file: session ("" for a table), role, path, bytes, sha256.

    Args:
        patient: patient with the images and masks of the visits.
        tables: role -> other input file: table of visits, patients table, prior.
    """
    out = [{"session": "", "role": role, **_file(path, str(path))}
           for role, path in (tables or {}).items()]  # fmt: skip
    for visit in patient.visits:
        files = dict(visit.images)
        if visit.masks:
            files |= {f"seg label {label}": path for label, path in visit.masks.items()}
        elif visit.seg is not None:
            files["seg"] = visit.seg
        if visit.brain_mask is not None:
            files["brain_mask"] = visit.brain_mask
        out += [
            {"session": visit.session, "role": role, **_file(Path(path), str(path))}
            for role, path in files.items()
        ]
    return out


def file_records(folder: Path, paths: Iterable[Path]) -> list[dict[str, Any]]:
    """One entry a written file: path below the folder, bytes, sha256."""
    return [_file(path, path.relative_to(folder).as_posix()) for path in paths]


def _file(path: Path, name: str) -> dict[str, Any]:
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest_of(path)}


def day_record(size: SizeForecast, series: SizeSeries, sections: Sequence[float | None],
               first_date: Any = None) -> dict[str, Any]:  # fmt: skip
    """A forecast day: volume with its interval, largest axial section, probability of growth.

    Args:
        size, series: in mm3.
        sections: largest axial section in mm2 at the median and both ends; None if not known.
        first_date: date of day 0; None if not known.
    """
    low, high = size.interval(LEVEL)
    last = series.visits[-1]
    out: dict[str, Any] = {
        "day": size.day, "days_after_last_visit": size.day - last.day,
        "volume_mm3": _interval(size.median, low, high),
        "volume_ml": _interval(size.median / 1000, low / 1000, high / 1000),
        "interval_stands_on": size.guarantee,
        "probability_of_growth": float(size.survival(np.nextafter(last.size, np.inf))),
    }  # fmt: skip
    if first_date is not None:
        out["date"] = _date(first_date, size.day)
    if None not in sections:
        middle, small, large = (float(s) for s in sections if s is not None)
        out["largest_axial_section_mm2"] = _interval(middle, small, large)
    return out


def _date(first: Any, day: float) -> str:
    from datetime import timedelta

    return str((first + timedelta(days=day)).isoformat())


def _interval(median: float, low: float, high: float) -> dict[str, float]:
    return {"median": median, "low": low, "high": high, "level": LEVEL}


def result_record(
    *, patient: Patient, series: SizeSeries, days: Sequence[Mapping[str, Any]], seed: int,
    settings: Mapping[str, Any], command: str, prior: Mapping[str, Any],
    weights: Sequence[Mapping[str, Any]], warnings: Sequence[str],
    inputs: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]],
    drawn: Sequence[Mapping[str, Any]] = (), what_if: Counterfactual | None = None,
    what_if_origin: str = "",
) -> dict[str, Any]:
    """All of result.json as plain builtins."""
    out: dict[str, Any] = {
        **FORMAT, "created": datetime.now(UTC).isoformat(timespec="seconds"), "command": command,
        "patient": patient.name,
        "visits": [{"session": v.session, "day": v.day, "volume_mm3": v.size}
                   for v in series.visits],
        "radiotherapy": [vars(course) for course in series.courses],
        "treatments": [vars(treatment) for treatment in series.treatments],
        "days": list(days), "drawn": list(drawn), "warnings": list(warnings), "seed": seed,
        "prior": dict(prior), "weights": list(weights), "settings": dict(settings),
        "versions": versions(), "inputs": list(inputs), "files": list(files),
    }  # fmt: skip
    if patient.first_date is not None:
        out["first_date"] = patient.first_date.isoformat()
    if what_if is not None:
        low, high = what_if.forecast.interval(LEVEL)
        out["what_if"] = {
            "change": what_if.change, "origin": what_if_origin, "day": what_if.forecast.day,
            "volume_mm3": _interval(what_if.forecast.median, low, high),
        }  # fmt: skip
    return out


def versions() -> dict[str, str]:
    """Versions of mechlearn, Python and the installed packages that compute a forecast."""
    out = {"mechlearn": mechlearn.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out

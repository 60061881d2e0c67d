"""Tumour sizes over time as a plain CSV: one row a visit of a slice, no image.

Columns: patient, day, one of area_mm2 and volume_mm3, and slice (without it a volume is of the
whole tumour); session, rt_start_day, rt_end_day, dose_gy and fractions where they are known. A row
holds one course of radiotherapy; several courses stand on different rows of the patient.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counter
from pathlib import Path

from mechlearn.checks import one_of
from mechlearn.data.compartments import COMPARTMENT_OF, with_companions
from mechlearn.data.courses import COURSE_COLUMNS, RT_DURATION_DAYS, check_course, courses
from mechlearn.data.day_cells import days_from_dates, never_a_day
from mechlearn.data.tables import cell, number, read_rows, whole_number, write_rows
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

__all__ = ["COLUMNS", "UNITS", "SeriesTable", "read_series", "write_series"]

log = logging.getLogger(__name__)

UNITS = {"mm2": "area_mm2", "mm3": "volume_mm3"}  # unit -> column
REQUIRED = ("patient", "slice", "day")
COLUMNS = (*REQUIRED, "session", *UNITS.values(), *COURSE_COLUMNS)
DAYS = ("day", *COURSE_COLUMNS[:2])
WHOLE = "whole"


@dataclass(frozen=True)
class SeriesTable:
    """Series of one file; a visit's `area_mm2` holds the size in the file's unit, mm2 or mm3."""

    timelines: tuple[SizeSeries, ...]
    unit: str
    source: Path


@dataclass(frozen=True)
class SizeRow:
    """One row: a tumour's size in one slice at one visit, and one course of radiotherapy."""

    where: str  # file and row, for errors
    patient: str
    slice: str
    visit: SizeReading
    rt_start_day: float | None = None
    rt_end_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None


def read_series(
    path: str | Path, *, rt_duration_days: float = RT_DURATION_DAYS
) -> SeriesTable:
    """Read a table of tumour sizes: one series a slice, in the order of the file.

    A slice of volumes called whole (or total), flair, enhancing or core is that compartment; those
    of one patient are companions of each other.

    Args:
        path: CSV file.
        rt_duration_days: of a course of which only the end is known.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row that breaks a rule; the message names file, row, patient, slice, column,
            value, rule and remedy.
    """
    path = Path(path)
    cells = read_rows(path, what="series", columns=COLUMNS, missing=_missing)
    if not cells:
        raise ValueError(f"{path}: no visit below the header. Write one row a visit of a slice.")
    unit = _unit(path, cells[0][1])
    dated = days_from_dates(path, _possible_courses(path, cells), DAYS)
    rows = [_row(where, {"slice": WHOLE} | dict(row), UNITS[unit]) for where, row in dated]
    by_patient: dict[str, list[SizeRow]] = {}
    by_slice: dict[tuple[str, str], list[SizeRow]] = {}
    for row in rows:
        by_patient.setdefault(row.patient, []).append(row)
        by_slice.setdefault((row.patient, row.slice), []).append(row)
    treated = {
        patient: courses(group, where=f"{path}: patient={patient}",
                         rt_duration_days=rt_duration_days)
        for patient, group in by_patient.items()
    }  # fmt: skip
    timelines = tuple(
        _timeline(patient, name, group, treated[patient], unit)
        for (patient, name), group in by_slice.items()
    )
    if unit == "mm3":  # compartments of one tumour stand side by side
        named = [t for t in timelines if _slice_of(t).lower() in COMPARTMENT_OF]
        timelines = with_companions(timelines, named)
    return SeriesTable(timelines, unit, path)


def _possible_courses(
    path: Path, rows: list[tuple[str, dict[str, str]]]
) -> list[tuple[str, dict[str, str]]]:
    """The rows without courses on days that are neither days nor dates, as cohorts hold them."""
    out, dropped = [], []
    for where, cells in rows:
        bad = next((c for c in DAYS[1:] if never_a_day(cells.get(c, ""))), None)
        if bad is not None:
            dropped.append(f"{where}: {bad}={cells[bad]}")
            cells = cells | dict.fromkeys(COURSE_COLUMNS, "")
        out.append((where, cells))
    if dropped:
        log.warning("%s: radiotherapy on impossible days is left out in %d row(s), the first %s",
                    path, len(dropped), dropped[0])  # fmt: skip
    return out


def _missing(header: Sequence[str]) -> list[str]:
    whole = UNITS["mm3"] in header  # volumes without a name are of the whole tumour
    missing = [c for c in REQUIRED if c not in header and not (whole and c == "slice")]
    if "day" in missing and "date" in header:
        missing[missing.index("day")] = "day (call the column date so: day takes dates)"
    if not set(UNITS.values()) & set(header):
        missing.append("one of " + ", ".join(UNITS.values()))
    return missing


def _unit(path: Path, row: Mapping[str, str]) -> str:
    found = [unit for unit, column in UNITS.items() if column in row]
    if len(found) > 1:
        raise ValueError(
            f"{path}: columns {list(UNITS.values())}; a table has one size, in one unit. "
            "Drop one of the columns."
        )
    return found[0]


def _row(where: str, cells: Mapping[str, str], size_column: str) -> SizeRow:
    for key in REQUIRED[:2]:
        if not cells[key] or "/" in cells[key]:
            raise ValueError(
                f"{where}: {key}={cells[key]!r}: must be a name without '/'. Fill it in or mend it."
            )
    here = f"{where}: patient={cells['patient']} slice={cells['slice']}"
    day, size = (_finite(here, key, cells[key]) for key in ("day", size_column))
    if size < 0:
        raise ValueError(
            f"{here}: {size_column}={size:g}: must be 0 or more. Mend the row or drop it."
        )
    start, end, dose = (number(here, key, cells.get(key, "")) for key in COURSE_COLUMNS[:3])
    fractions = whole_number(here, "fractions", cells.get("fractions", ""))
    visit = SizeReading(day, size, cells.get("session", ""))
    row = SizeRow(where, cells["patient"], cells["slice"], visit, start, end, dose, fractions)
    try:
        check_course(row)
    except ValueError as error:
        raise ValueError(f"{here}: {error}") from error
    return row


def _finite(where: str, key: str, text: str) -> float:
    value = number(where, key, text)
    if value is None or not math.isfinite(value):
        raise ValueError(
            f"{where}: {key}={text!r}: must be a finite number; every visit needs one. "
            "Fill it in or drop the row."
        )
    return value


def _timeline(
    patient: str, name: str, rows: Sequence[SizeRow], treated: tuple[Radiotherapy, ...],
    unit: str,
) -> SizeSeries:
    for earlier, later in zip(rows, rows[1:], strict=False):
        if later.visit.day < earlier.visit.day:
            raise ValueError(
                f"{later.where}: patient={patient} slice={name}: day={later.visit.day:g} stands "
                f"below day {earlier.visit.day:g}; the rows of a slice must be sorted by day. "
                "Sort them."
            )
    return SizeSeries(
        f"{patient}/{name}", patient, tuple(row.visit for row in rows), treated, unit=unit,
        compartment=COMPARTMENT_OF.get(name.lower(), "whole"),
    )  # fmt: skip


def _slice_of(series: SizeSeries) -> str:
    return series.name.removeprefix(f"{series.patient}/")


def write_series(
    timelines: Iterable[SizeSeries], path: str | Path, *, unit: str = "mm2"
) -> Path:
    """Write series that `read_series` reads back as they are, atomically. Returns the path.

    A patient's one course stands on all its rows; several stand on its rows in turn.

    Args:
        timelines: named PATIENT/SLICE; those of one patient share its courses.
        path: CSV file.
        unit: of the sizes, mm2 or mm3.

    Raises:
        ValueError: a name or courses that the table cannot hold.
    """
    path = Path(path)
    column = UNITS[one_of("unit", unit, tuple(UNITS))]
    by_patient: dict[str, list[SizeSeries]] = {}
    for timeline in timelines:
        by_patient.setdefault(timeline.patient, []).append(timeline)
    columns = [c for c in COLUMNS if c == column or c not in UNITS.values()]
    rows = [row for group in by_patient.values() for row in _patient_rows(path, group, column)]
    return write_rows(path, columns, rows)


def _patient_rows(path: Path, group: Sequence[SizeSeries], column: str) -> list[dict[str, str]]:
    patient, treated = group[0].patient, group[0].courses
    where = f"{path}: patient={patient}"
    if any(timeline.courses != treated for timeline in group):
        raise ValueError(
            f"{where}: slices with different courses of radiotherapy; courses are the patient's. "
            "Give its timelines the same."
        )
    rows, turn = [], counter()
    names = [timeline.name.removeprefix(f"{patient}/") for timeline in group]
    for name, timeline in zip(names, group, strict=True):
        if not name or "/" in name or names.count(name) > 1:
            raise ValueError(
                f"{where}: slice_id={timeline.name!r}: must be {patient}/SLICE, each slice "
                "once. Rename it."
            )
        for visit in timeline.visits:
            course = treated[next(turn) % len(treated)] if treated else None
            rows.append(SizeRow(where, patient, name, visit, *_course_cells(course)))
    if courses(rows, where=where) != treated:
        raise ValueError(
            f"{where}: {len(treated)} courses of radiotherapy on {len(rows)} row(s); a row holds "
            "one course. Write more visits or fewer courses."
        )
    return [_cells(row, column) for row in rows]


def _course_cells(
    course: Radiotherapy | None,
) -> tuple[float | None, float | None, float | None, int | None]:
    if course is None:
        return None, None, None, None
    return course.start_day, course.end_day, course.dose_gy, course.fractions


def _cells(row: SizeRow, column: str) -> dict[str, str]:
    treatment = {key: cell(getattr(row, key)) for key in COURSE_COLUMNS}
    visit = {"day": row.visit.day, "session": row.visit.session, column: row.visit.size}
    return {"patient": row.patient, "slice": row.slice, **treatment,
            **{key: cell(value) for key, value in visit.items()}}  # fmt: skip

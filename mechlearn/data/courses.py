"""A patient's courses of radiotherapy, from the rows of a table with one course a row at most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Protocol

from mechlearn.checks import positive
from mechlearn.growth.treatment import RT_DURATION_DAYS
from mechlearn.records import Radiotherapy

__all__ = ["COURSE_COLUMNS", "RT_DURATION_DAYS", "CourseCells", "check_course", "courses"]

COURSE_COLUMNS = ("rt_start_day", "rt_end_day", "dose_gy", "fractions")


class CourseCells(Protocol):
    """What a row says of radiotherapy; None is unknown."""

    @property
    def rt_start_day(self) -> float | None: ...
    @property
    def rt_end_day(self) -> float | None: ...
    @property
    def dose_gy(self) -> float | None: ...
    @property
    def fractions(self) -> int | None: ...


def check_course(row: CourseCells) -> None:
    """ValueError unless days are finite and in order, dose and fractions positive."""
    for key in COURSE_COLUMNS:
        value = getattr(row, key)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{key}={value!r}: must be a finite number or empty.")
    for key in ("dose_gy", "fractions"):
        value = getattr(row, key)
        if value is not None and value <= 0:
            raise ValueError(f"{key}={value:g}: must be positive, or empty if unknown.")
    start, end = row.rt_start_day, row.rt_end_day
    if start is not None and end is not None and end < start:
        raise ValueError(
            f"rt_end_day={end:g}: must not lie before rt_start_day={start:g}. "
            "Swap or mend the days."
        )


def courses(
    rows: Iterable[CourseCells], *, where: str, rt_duration_days: float = RT_DURATION_DAYS
) -> tuple[Radiotherapy, ...]:
    """The distinct courses on a patient's rows, by day of start.

    Rows with the same start are one course, and fill each other's empty cells. A row with only an
    end belongs to the course with that end; without one it is a further course that began
    `rt_duration_days` earlier. A row without a day belongs to the only course.

    Args:
        rows: of one patient.
        where: how an error names the file and the patient.
        rt_duration_days: of a course of which only the end is known.

    Raises:
        ValueError: rows that contradict each other on one course, courses that overlap, or a dose
            without a day where there are several courses.
    """
    positive("rt_duration_days", rt_duration_days)
    rows = list(rows)
    by_start: dict[float, list[CourseCells]] = {}
    for row in rows:
        if row.rt_start_day is not None:
            by_start.setdefault(row.rt_start_day, []).append(row)
    for row in rows:
        if row.rt_start_day is None and row.rt_end_day is not None:
            start = _start_of_end(by_start, row.rt_end_day, rt_duration_days)
            by_start.setdefault(start, []).append(row)
    _give_day(by_start, rows, where)
    found = tuple(_merged(start, by_start[start], where) for start in sorted(by_start))
    for earlier, later in pairwise(found):
        if earlier.end_day is not None and later.start_day < earlier.end_day:
            raise ValueError(
                f"{where}: rt_start_day={later.start_day:g} lies within the course of days "
                f"{earlier.start_day:g} to {earlier.end_day:g}; courses must not overlap. Mend the "
                "days, or write both as one course."
            )
    return found


def _start_of_end(
    by_start: dict[float, list[CourseCells]], end: float, duration_days: float
) -> float:
    for start, group in by_start.items():
        if any(row.rt_end_day == end for row in group):
            return start
    return end - duration_days


def _give_day(
    by_start: dict[float, list[CourseCells]], rows: Sequence[CourseCells], where: str
) -> None:
    """Rows with a dose or fractions and no day join the one course; none is known, none is made."""
    undated = [
        row
        for row in rows
        if row.rt_start_day is None
        and row.rt_end_day is None
        and (row.dose_gy is not None or row.fractions is not None)
    ]
    if undated and len(by_start) > 1:
        key = "dose_gy" if undated[0].dose_gy is not None else "fractions"
        raise ValueError(
            f"{where}: {key}={getattr(undated[0], key):g} stands on a row without rt_start_day, "
            f"but there are {len(by_start)} courses; it is not known whose it is. "
            "Write the start there as well."
        )
    for group in by_start.values():
        group += undated


def _merged(start: float, group: Sequence[CourseCells], where: str) -> Radiotherapy:
    known: dict[str, float | None] = {}
    for key in COURSE_COLUMNS[1:]:
        values = {getattr(row, key) for row in group} - {None}
        if len(values) > 1:
            raise ValueError(
                f"{where}: {key} is {sorted(values)} on different rows of the course that starts "
                f"on day {start:g}; a course has one. Write the same value on all its rows, or "
                "another rt_start_day for another course."
            )
        known[key] = next(iter(values), None)
    fractions = known["fractions"]
    return Radiotherapy(
        start, known["rt_end_day"], known["dose_gy"], None if fractions is None else int(fractions)
    )

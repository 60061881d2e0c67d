"""Dates in a table of visits -> days since each patient's first visit."""

from __future__ import annotations

import datetime as dt
import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mechlearn.data.tables import NUMBER, Row, number, read_rows

__all__ = ["DATE_LIKE", "days_from_dates", "first_dates", "never_a_day"]

log = logging.getLogger(__name__)
DATE_LIKE = 20_000.0  # no day: 55 years after the first visit; a serial number or a date
SLIP = 1e6  # days; a wrong subtraction of dates stays below
YEARS = (1900, 2100)
ISO = re.compile(r"(\d{4})([-/.]?)(\d{2})\2(\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?Z?)?")
LOCAL = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
SERIAL_0 = dt.date(1899, 12, 30)  # day 0 of a spreadsheet


def days_from_dates(
    path: Path, rows: Sequence[Row], columns: Sequence[str], *, missing: list[str] | None = None
) -> list[Row]:
    """The rows with dates replaced by days since the patient's first visit.

    Read are 2021-03-05, 2021/03/05, 20210305, 05.03.2021, and 05/03/2021 where a day above 12 in
    the file tells which of the two numbers is the month. Numbers of days stay as they are.

    Args:
        path: of the table, for the log.
        rows: of the table; cells `patient`, `day` and those of `columns`.
        columns: `day` and others that hold days of the same scale.
        missing: None refuses the first row that breaks a rule; a list takes the messages of all of
            them, and they are left out.

    Raises:
        ValueError: a date that cannot be read or whose order is not certain, dates beside numbers
            of days in one patient, or a number that is too large for a day.
    """
    day_first = _day_first(rows, columns)
    dated: list[tuple[Row, dict[str, dt.date]]] = []
    for where, cells in rows:
        with _collected(missing):
            found = {c: _date(where, c, cells.get(c, ""), day_first) for c in columns}
            dated.append(((where, cells), {c: d for c, d in found.items() if d is not None}))
    if not any(dates for _, dates in dated):
        return [row for row, _ in dated]
    first: dict[str, dt.date] = {}
    for (_, cells), dates in dated:
        patient = cells.get("patient", "")
        if "day" in dates:
            first[patient] = min(first.get(patient, dates["day"]), dates["day"])
    log.info("%s: dates are read as days since each patient's first visit", path)
    out: list[Row] = []
    for row, dates in dated:
        with _collected(missing):
            out.append(_in_days(row, dates, first, columns))
    return out


@contextmanager
def _collected(missing: list[str] | None) -> Iterator[None]:
    """Add the message of a row that breaks a rule to `missing`; without a list it is raised."""
    try:
        yield
    except ValueError as error:
        if missing is None:
            raise
        missing.append(str(error))


def first_dates(path: Path) -> dict[str, dt.date]:
    """Patient -> date of the first visit, for patients whose visits are dated.

    Args:
        path: a table that `days_from_dates` has accepted.
    """
    rows = read_rows(path, what="table", columns=None, missing=lambda _: [])
    columns = [c for c in rows[0][1] if c == "day" or c.endswith("_day")] if rows else []
    day_first = _day_first(rows, columns)
    first: dict[str, dt.date] = {}
    for where, cells in rows:
        found = _date(where, "day", cells.get("day", ""), day_first)
        if found is not None:
            patient = cells.get("patient", "")
            first[patient] = min(first.get(patient, found), found)
    return first


def _in_days(
    row: Row, dates: dict[str, dt.date], first: dict[str, dt.date], columns: Sequence[str]
) -> Row:
    where, cells = row
    start = first.get(cells.get("patient", ""))
    for column in columns:
        text = cells.get(column, "")
        if column in dates and start is None:
            raise ValueError(
                f"{where}: {column}={text!r}: is a date, but no visit of the patient has one. "
                "Write the dates of the visits in the column day, or days since the first visit."
            )
        is_day = column not in dates and number(where, column, text) is not None
        if is_day and start is not None:
            raise ValueError(
                f"{where}: {column}={text!r}: is a number, but the patient's first visit is dated "
                f"{start}. Write dates in all cells of a patient, or days in all."
            )
    days = {c: str((found - start).days) for c, found in dates.items() if start is not None}
    return where, {**cells, **days}


def _day_first(rows: Sequence[Row], columns: Sequence[str]) -> bool | None:
    """Whether 05/03/2021 is the fifth of March: a number above 12 decides; None without one."""
    found = [
        (int(match[1]), int(match[3]))
        for _, cells in rows for column in columns
        if (match := LOCAL.fullmatch(cells.get(column, ""))) and match[2] != "."
    ]  # fmt: skip
    day_first = any(a > 12 for a, _ in found)
    month_first = any(b > 12 for _, b in found)
    return None if day_first == month_first else day_first


def never_a_day(text: str) -> bool:
    """Whether a number lies beyond any day, and is no date or spreadsheet's number of one either.

    Cohorts hold such days where dates were subtracted wrongly (UCSF-ALPTDG: 328372.4). A number
    above a million is no such slip and is left to the rule that refuses it.

    Example:
        >>> [never_a_day(text) for text in ("328372.4", "-43585.3", "44260", "20210105", "12")]
        [True, True, False, False, False]
    """
    if not NUMBER.fullmatch(text) or ISO.fullmatch(text) or not math.isfinite(float(text)):
        return False
    value = float(text)
    latest = (dt.date(YEARS[1], 1, 1) - SERIAL_0).days
    beyond = value < -DATE_LIKE or value > latest or (value > DATE_LIKE and not value.is_integer())
    return beyond and abs(value) <= SLIP


def _date(where: str, key: str, text: str, day_first: bool | None) -> dt.date | None:
    """The date in a cell; None for a number of days or an empty cell."""
    iso, local = ISO.fullmatch(text), LOCAL.fullmatch(text)
    if iso:
        year, month, day = int(iso[1]), int(iso[3]), int(iso[4])
    elif local:
        if local[2] != "." and day_first is None:
            raise ValueError(
                f"{where}: {key}={text!r}: day or month first is not certain. Write the date as "
                "2021-03-05."
            )
        year, first, second = int(local[4]), int(local[1]), int(local[3])
        day, month = (first, second) if local[2] == "." or day_first else (second, first)
    else:
        _check_day(where, key, text)
        return None
    try:
        if YEARS[0] <= year <= YEARS[1]:
            return dt.date(year, month, day)
    except ValueError:
        pass
    raise ValueError(f"{where}: {key}={text!r}: is no date of the calendar. Mend it.")


def _check_day(where: str, key: str, text: str) -> None:
    try:
        value = number(where, key, text)
    except ValueError as error:
        raise ValueError(
            f"{where}: {key}={text!r}: must be a number of days since the patient's first visit, "
            "or a date such as 2021-03-05, or empty if unknown."
        ) from error
    if value is None or not DATE_LIKE < abs(value) < float("inf"):
        return
    serial = value if value < (dt.date(YEARS[1], 1, 1) - SERIAL_0).days else None
    hint = "" if serial is None or serial < 0 else (
        f" (a spreadsheet's number for {SERIAL_0 + dt.timedelta(days=int(serial))}?)"
    )  # fmt: skip
    raise ValueError(
        f"{where}: {key}={text}: a day counts from the patient's first visit and lies within "
        f"{DATE_LIKE:,.0f}{hint}. Write dates as 2021-03-05, or subtract the first visit's day."
    )

"""Tables of public data sets: CSV, TSV or Excel, with headers as their authors typed them."""

from __future__ import annotations

import csv
import datetime as dt
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mechlearn.data.tables import Row, number

__all__ = ["calendar_day", "covariates_of", "dose_gy", "find_table", "header", "keyed", "newest",
           "read_sheet", "therapy_days"]  # fmt: skip

log = logging.getLogger(__name__)

MISSING = {"", "na", "n/a", "nan", "none", "null", "unknown", "not available", "not applicable"}
ENDINGS = (".csv", ".tsv", ".xlsx")
VERSION = re.compile(r"(?<![A-Za-z0-9])v(\d+)|(?<!\d)(20\d{6})(?!\d)")
GRADE = re.compile(r"[1-4]")
DOSE = re.compile(r"([\d.]+)\s*(c?gy)?", re.IGNORECASE)


def header(name: object) -> str:
    """A column's name as it is compared: case and stray spaces do not count."""
    return " ".join(str(name).split()).casefold()


def find_table(
    tables: str | Path | Sequence[str | Path] | None,
    loose: Iterable[Path],
    *,
    pattern: str,
    what: str,
) -> Path | None:
    """The table of a data set: among the files and folders given, or else among those found.

    Args:
        tables: data.tables; None looks in `loose`.
        loose: files outside the cases.
        pattern: regular expression that the file's name begins with, in any case.
        what: the table is called.

    Returns:
        The newest version, or None if there is none.

    Raises:
        FileNotFoundError: a path of `tables` that does not exist.
        ValueError: two tables of the same version.
    """
    if tables is None:
        files = list(loose)
    else:
        files = []
        for path in [tables] if isinstance(tables, (str, Path)) else tables:
            place = Path(path).expanduser()
            if not place.exists():
                raise FileNotFoundError(f"data.tables={path}: no such file or folder.")
            files += sorted(place.iterdir()) if place.is_dir() else [place]
    fitting = [
        path for path in files
        if re.match(pattern, path.name, re.IGNORECASE) and path.suffix.lower() in ENDINGS
    ]  # fmt: skip
    return newest(fitting, what=what) if fitting else None


def newest(paths: Sequence[Path], *, what: str) -> Path:
    """The file of the highest version (`_v03_20260129`); ValueError if two are of one version."""

    def version(path: Path) -> tuple[int, int]:
        found = VERSION.findall(path.name)
        numbers, dates = zip(*found, strict=True) if found else ((), ())
        return (
            max((int(n) for n in numbers if n), default=-1),
            max((int(d) for d in dates if d), default=-1),
        )

    ranked = sorted(paths, key=version)
    if len(ranked) > 1 and version(ranked[-1]) == version(ranked[-2]):
        raise ValueError(
            f"found two tables of {what} of the same version, {ranked[-2]} and {ranked[-1]}. "
            "Give the one that counts with data.tables."
        )
    return ranked[-1]


def read_sheet(path: Path, *, required: Sequence[str]) -> list[Row]:
    """The rows of a table, as ("FILE, row N", column -> text); empty rows are skipped.

    Columns are called by `header`; cells that say "none", "NA", "not available" are empty. Of an
    Excel file the sheet is read that has the required columns.

    Raises:
        ValueError: no sheet has them, or several; a required column twice.
    """
    wanted = [header(name) for name in required]
    sheets = _excel(path) if path.suffix.lower() == ".xlsx" else {"": _text(path)}
    fitting = {n: rows for n, rows in sheets.items() if rows and _has(rows[0][1], wanted)}
    if len(fitting) != 1:
        heads = {n or path.name: rows[0][1][:30] if rows else [] for n, rows in sheets.items()}
        raise ValueError(
            f"{path}: {len(fitting) or 'no'} sheets have the columns {list(required)}; found "
            f"{heads}. Give the data set's table with data.tables."
        )
    name, rows = next(iter(fitting.items()))
    columns = [header(cell) for cell in rows[0][1]]
    double = [c for c in wanted if columns.count(c) > 1]
    if double:
        raise ValueError(f"{path}: column {double[0]!r} stands twice. Keep one.")
    place = f"{path}, sheet {name}" if name else str(path)
    found = []
    for n, cells in rows[1:]:
        texts = [text.strip() for text in cells]
        if any(texts):
            clean = ["" if t.casefold() in MISSING else t for t in texts]
            pairs = zip(columns, clean, strict=False)
            found.append((f"{place}, row {n}", {c: t for c, t in reversed(list(pairs)) if c}))
    return found


def keyed(rows: Iterable[Row], column: str) -> dict[str, Row]:
    """The rows by the text in a column, if any; ValueError for a text that stands twice."""
    found: dict[str, Row] = {}
    for where, row in rows:
        key = row[header(column)]
        if key in found:
            raise ValueError(f"{where}: {column}={key} stands twice in the table. Drop a row.")
        if key:
            found[key] = (where, row)
    return found


def _has(cells: Sequence[str], wanted: Sequence[str]) -> bool:
    return set(wanted) <= {header(cell) for cell in cells}


def _text(path: Path) -> list[tuple[int, list[str]]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
        return [(reader.line_num, row) for row in reader]


def _excel(path: Path) -> dict[str, list[tuple[int, list[str]]]]:
    # Imported here because it takes a tenth of a second, which most commands have no use for.
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True, data_only=True)
    try:
        return {
            sheet.title: [
                (n, [_cell(value) for value in row])
                for n, row in enumerate(sheet.iter_rows(values_only=True), start=1)
            ]
            for sheet in book.worksheets
        }
    finally:
        book.close()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, (dt.datetime, dt.date)) else str(value)


def dose_gy(where: str, key: str, text: str) -> float | None:
    """A dose in Gy from `60`, `60 Gy` or `6000 cGy`; None if the cell is empty."""
    if not text:
        return None
    match = DOSE.fullmatch(text)
    if match is None:
        raise ValueError(f"{where}: {key}={text!r}: must be a dose in Gy, or empty if unknown.")
    value = number(where, key, match[1])
    assert value is not None
    return value / 100 if (match[2] or "").casefold() == "cgy" else value


def calendar_day(where: str, key: str, text: str) -> float | None:
    """A day number from an ISO date or date and time (days of the calendar), None if empty."""
    if not text:
        return None
    try:
        return float(dt.datetime.fromisoformat(text).toordinal())
    except ValueError as error:
        raise ValueError(
            f"{where}: {key}={text!r}: must be a date as 2026-01-31 or 2026-01-31T09:30:00."
        ) from error


def covariates_of(row: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, str]:
    """Covariate -> text of its column, where the row has one; `columns` is covariate -> column.

    Of a grade (`4`, `Grade 4`, `3.0`) the digit is kept.
    """
    found = {key: row.get(header(column), "") for key, column in columns.items()}
    if "grade" in found:
        digit = GRADE.search(found["grade"])
        found["grade"] = digit[0] if digit else ""
    return {key: text for key, text in found.items() if text}


def therapy_days(
    where: str, row: Mapping[str, str], columns: Mapping[str, str]
) -> dict[str, float]:
    """Column of `data.patient_facts` -> day, where the row has one.

    A day that is no number, and a last day before the first, are left out with a warning: the
    forecast can do without.
    """
    days: dict[str, float] = {}
    for key, name in columns.items():
        text = row.get(header(name), "")
        try:
            value = number(where, name, text)
            before = days.get(key.replace("_end_", "_start_"), -math.inf)
            if value is not None and not before <= value < math.inf:
                raise ValueError(f"{where}: {name}={text!r} lies before the start or nowhere.")
        except ValueError as error:
            log.warning("%s It is left out.", error)
            continue
        if value is not None:
            days[key] = value
    return days

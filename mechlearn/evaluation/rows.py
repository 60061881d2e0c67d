"""The flat row of a job: numbers, strings, booleans or None, written atomically.

A key ends with its unit (`hd95_dynamic_mm`). An undefined value is None, and `<key>_reason` can
hold the reason.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.files import read_json, write_bytes

__all__ = [
    "FAILED",
    "ROW",
    "Row",
    "plain",
    "plain_row",
    "read_row",
    "read_rows",
    "read_table",
    "write_bytes",
    "write_failure",
    "write_row",
    "write_table",
]

Row = dict[str, Any]
ROW = "row.json"
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in a spreadsheet
AS_TEXT = "'"
FAILED = "failed.json"


def plain(key: str, value: Any) -> tuple[Any, str | None]:
    """(builtin value, reason it is undefined): NaN and infinity become None with a reason.

    Raises:
        TypeError: the value is neither a number, a string, a boolean nor None.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None, f"not a finite number ({value})"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value, None
    if isinstance(value, Path):
        return str(value), None
    raise TypeError(
        f"row key {key}: {type(value).__name__} is not a plain value. "
        "A row holds numbers, strings, booleans and None; store arrays beside it."
    )


def plain_row(row: Mapping[str, Any]) -> Row:
    """The row with builtin values only, and with the reasons of undefined values."""
    out: Row = {}
    for key, value in row.items():
        out[key], reason = plain(key, value)
        if reason is not None:
            out.setdefault(f"{key}_reason", reason)
    return out


def write_row(path: str | Path, row: Mapping[str, Any]) -> Path:
    """Write one row as JSON, atomically, keys in their order; removes `failed.json` in its folder.

    Args:
        path: the file, or a folder that receives `row.json`.
        row: flat mapping of plain values; NaN becomes None with a `<key>_reason`.
    """
    path = Path(path)
    if path.suffix != ".json":
        path = path / ROW
    text = json.dumps(plain_row(row), indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode())
    if path.name == ROW:
        (path.parent / FAILED).unlink(missing_ok=True)
    return path


def write_failure(folder: str | Path, error: BaseException) -> Path:
    """Write `failed.json` to `folder`: `collect` reports its error for this cell."""
    content = {
        "error": f"{type(error).__name__}: {error}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    return write_bytes(Path(folder) / FAILED, text.encode())


def read_row(path: str | Path) -> Row:
    """Read one row; a ValueError that names the file if it is not a JSON object."""
    path = Path(path)
    row = read_json(path, remedy="Delete it and run the job again.")
    if not isinstance(row, dict):
        raise ValueError(f"{path}: holds a {type(row).__name__}; must be one flat JSON object.")
    return row


def read_rows(folder: str | Path) -> list[Row]:
    """The rows of all `row.json` below `folder`, in order of their paths."""
    return [read_row(path) for path in sorted(Path(folder).rglob(ROW))]


def write_table(path: str | Path, rows: Iterable[Mapping[str, Any]],
                *, first: Sequence[str] = ()) -> Path:
    """Write rows as CSV, atomically; None is an empty cell.

    A text that a spreadsheet would read as a formula gets a leading apostrophe, which `read_table`
    removes.

    Args:
        path: the CSV file.
        rows: flat rows; a key that a row lacks gives an empty cell.
        first: keys of the first columns; the others follow, sorted.
    """
    kept = [plain_row(row) for row in rows]
    keys = {key for row in kept for key in row}
    columns = [key for key in first if key in keys] + sorted(keys - set(first))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _as_text(v) for k, v in row.items()} for row in kept)
    return write_bytes(path, buffer.getvalue().encode())


def _as_text(value: Any) -> Any:
    formula = isinstance(value, str) and value.startswith((*FORMULA, AS_TEXT))
    return AS_TEXT + value if formula else value


def read_table(path: str | Path) -> list[Row]:
    """Read a CSV of `write_table`: empty cells become None, numbers become numbers."""
    with Path(path).open(newline="") as file:
        return [{key: _typed(text) for key, text in row.items()} for row in csv.DictReader(file)]


def _typed(text: str) -> Any:
    if text == "":
        return None
    if text.startswith(AS_TEXT):
        return text[1:]
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

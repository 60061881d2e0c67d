"""CSV tables with a fixed set of columns: read row by row with its place, written atomically."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mechlearn.files import replacing

__all__ = ["cell", "csv_text", "number", "read_rows", "whole_number", "write_rows"]

Row = tuple[str, dict[str, str]]  # "FILE, row N" and column -> stripped cell


def read_rows(
    path: Path, *, what: str, columns: Sequence[str], missing: Callable[[Sequence[str]], list[str]]
) -> list[Row]:
    """The rows of a CSV file; spaces around cells and a byte order mark are forgiven.

    Args:
        path: the file.
        what: the file should have been, for an error.
        columns: there may be.
        missing: what a header lacks, in words.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown, missing or repeated columns, or a row of more cells than columns.
    """
    reader = csv.DictReader(io.StringIO(csv_text(path, what=what), newline=""),
                            skipinitialspace=True)  # fmt: skip
    found = []
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        _check_header(path, header, columns, missing(header))
        for row in reader:
            where = f"{path}, row {reader.line_num}"
            cells = {(k or "").strip(): v for k, v in row.items()}
            if "" in cells:
                raise ValueError(f"{where}: more cells than columns. Quote cells with commas.")
            found.append((where, {k: (v or "").strip() for k, v in cells.items()}))
    except csv.Error as error:
        raise ValueError(
            f"{path}, row {reader.line_num}: {error}. Save the table as 'CSV UTF-8'."
        ) from error
    return found


def csv_text(path: Path, *, what: str = "table") -> str:
    """The text of a CSV file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an Excel workbook, UTF-16, another encoding, or a binary file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path}: no such file. Give the path of the CSV file.")
    content = path.read_bytes()
    kinds = {b"PK\x03\x04": "is an Excel workbook", b"\xff\xfe": "is UTF-16",
             b"\xfe\xff": "is UTF-16"}  # fmt: skip
    kind = next((words for mark, words in kinds.items() if content.startswith(mark)), "")
    try:
        if not kind and b"\0" not in content:
            return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kind = f"is not UTF-8 (byte {error.start + 1})"
    raise ValueError(
        f"{what} {path}: {kind or 'is a binary file'}, expected CSV in UTF-8. Open it in a "
        "spreadsheet program and save it as 'CSV UTF-8'."
    )


def _check_header(
    path: Path, header: Sequence[str], columns: Sequence[str], missing: Sequence[str]
) -> None:
    unknown = [c for c in header if c not in columns]
    double = sorted({c for c in header if header.count(c) > 1})
    if unknown or missing or double:
        raise ValueError(
            f"{path}: unknown columns {unknown}, missing columns {list(missing)}, columns twice "
            f"{double}. The columns are {', '.join(columns)}."
        )


def number(where: str, key: str, text: str) -> float | None:
    """The number in a cell, None if it is empty."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        days = " (days count from the first visit; no dates)" if key.endswith("day") else ""
        raise ValueError(
            f"{where}: {key}={text!r}: must be a number{days}, or empty if unknown."
        ) from error


def whole_number(where: str, key: str, text: str) -> int | None:
    """The whole number in a cell, None if it is empty."""
    value = number(where, key, text)
    if value is not None and not value.is_integer():
        raise ValueError(f"{where}: {key}={value:g}: must be a whole number.")
    return None if value is None else int(value)


def cell(value: object) -> str:
    """What stands in a cell: nothing for None, and a number so that it reads back as it was."""
    if value is None:
        return ""
    return f"{value:.17g}" if isinstance(value, float) else str(value)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> Path:
    """Write a table, atomically; returns its path."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path

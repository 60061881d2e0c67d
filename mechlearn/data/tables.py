"""CSV tables with a fixed set of columns: read row by row with its place, written atomically."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mechlearn.files import replacing

__all__ = [
    "cell",
    "csv_text",
    "header_of",
    "number",
    "read_rows",
    "separator",
    "whole_number",
    "write_rows",
]

Row = tuple[str, dict[str, str]]  # "FILE, row N" and column -> stripped cell
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf)", re.ASCII | re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d+)", re.ASCII)
# What a terminal obeys, or what turns a text around; tabs and ends of lines aside.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
UNKNOWN = ("NA", "N/A", "n/a")  # how R and people write an empty cell
INDEX = re.compile(r"(Unnamed: ?\d+)?")  # the header of an index column, by pandas or a spreadsheet


def read_rows(
    path: Path,
    *,
    what: str,
    columns: Sequence[str] | None,
    missing: Callable[[Sequence[str]], list[str]],
) -> list[Row]:
    """The rows of a CSV file, as spreadsheet programs write it.

    Commas, semicolons or tabs separate; behind semicolons a comma is the decimal mark. Spaces
    around cells, a byte order mark, rows without any cell, unnamed columns without any cell and a
    column that numbers the rows are left out.

    Args:
        path: the file.
        what: the file should have been, for an error.
        columns: there may be; None takes all.
        missing: what a header lacks, in words.

    Raises:
        FileNotFoundError: no such file.
        ValueError: unknown, missing or repeated columns, a row of more cells than columns, or a
            quoted cell that does not end in its row.
    """
    text = csv_text(path, what=what)
    mark = separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
    lines: list[tuple[int, list[str]]] = []
    try:
        begins = 1
        for cells in reader:
            if any("\n" in c or "\r" in c for c in cells):
                raise ValueError(
                    f"{path}, row {begins}: a quoted cell runs over the end of its row. Close or "
                    "remove the quote."
                )
            lines.append((reader.line_num, [c.strip() for c in cells]))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, row {reader.line_num}: {error}. Save the table as 'CSV UTF-8'."
        ) from error
    header, rows = _named(path, lines)
    _check_header(path, header, columns, missing(header))
    if mark == ";":
        rows = [(where, {k: _with_point(v) for k, v in row.items()}) for where, row in rows]
    return rows


def _with_point(text: str) -> str:
    return text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text


def csv_text(path: Path, *, what: str = "table") -> str:
    """The text of a CSV file in UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an Excel workbook, UTF-16, another encoding, a binary file, or a text with
            control characters.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path}: no such file. Give the path of the CSV file.")
    content = path.read_bytes()
    kinds = {b"PK\x03\x04": "is an Excel workbook", b"\xff\xfe": "is UTF-16",
             b"\xfe\xff": "is UTF-16"}  # fmt: skip
    kind = next((words for mark, words in kinds.items() if content.startswith(mark)), "")
    try:
        if not kind and b"\0" not in content:
            text = content.decode("utf-8-sig")
            found = CONTROL.search(text)
            if found is None:
                return text
            row = text.count("\n", 0, found.start()) + 1
            kind = f"holds the control character {found.group()!r} in row {row}"
    except UnicodeDecodeError as error:
        kind = f"is not UTF-8 (byte {error.start + 1})"
    raise ValueError(
        f"{what} {path}: {kind or 'is a binary file'}, expected CSV in UTF-8. Open it in a "
        "spreadsheet program and save it as 'CSV UTF-8'."
    )


def separator(text: str) -> str:
    """What separates the cells of a CSV: the one of comma, semicolon and tab in its first line.

    Example:
        >>> separator("patient;day\\n1,5;2\\n")
        ';'
    """
    first = text.partition("\n")[0]
    return max(",;\t", key=first.count)


def header_of(path: Path, *, what: str = "table") -> list[str]:
    """The names in the first line of a CSV file.

    Raises: as `csv_text`.
    """
    text = csv_text(path, what=what)
    first = csv.reader([text.partition("\n")[0]], delimiter=separator(text))
    return [name.strip() for name in next(first, [])]


def _named(path: Path, lines: Sequence[tuple[int, list[str]]]) -> tuple[list[str], list[Row]]:
    """Header and rows by name, without what is empty and without a column of row numbers."""
    full = [(line, cells) for line, cells in lines if any(cells)]
    header = full[0][1] if full else []
    body = full[1:]
    names: dict[int, str] = {}
    for k in range(max((len(cells) for _, cells in full), default=0)):
        name = header[k] if k < len(header) else ""
        held = [(line, cells[k]) for line, cells in body if k < len(cells) and cells[k]]
        if not INDEX.fullmatch(name):
            names[k] = name
        elif held and not _counts(k, [text for _, text in held], len(body)):
            line, text = held[0]
            raise ValueError(
                f"{path}, row {line}: {text!r} stands in column {k + 1}, which has no name. "
                "Name the column, or quote a cell that holds the separator."
            )
    rows = []
    for line, cells in body:
        named = {name: cells[k] if k < len(cells) else "" for k, name in names.items()}
        rows.append((f"{path}, row {line}", named))
    return list(names.values()), rows


def _counts(column: int, held: Sequence[str], rows: int) -> bool:
    """Whether a first column without a name numbers the rows, from 0 or 1."""
    return column == 0 and len(held) == rows and any(
        list(held) == [str(first + k) for k in range(rows)] for first in (0, 1)
    )  # fmt: skip


def _check_header(
    path: Path,
    header: Sequence[str],
    columns: Sequence[str] | None,
    missing: Sequence[str],
) -> None:
    unknown = [c for c in header if columns is not None and c not in columns]
    double = sorted({c for c in header if header.count(c) > 1})
    told = (("unknown", unknown), ("missing", missing), ("repeated", double))
    faults = [f"{word} columns {list(names)}" for word, names in told if names]
    if faults:
        known = "" if columns is None else f" The columns are {', '.join(columns)}."
        raise ValueError(f"{path}: {', '.join(faults)}. Mend the header.{known}")


def number(where: str, key: str, text: str) -> float | None:
    """The number in a cell, None if it is empty or NA."""
    if not text or text in UNKNOWN:
        return None
    if NUMBER.fullmatch(text):
        return float(text)
    comma = " Write the decimal mark as a point." if DECIMAL_COMMA.fullmatch(text) else ""
    raise ValueError(f"{where}: {key}={text!r}: must be a number, or empty if unknown.{comma}")


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

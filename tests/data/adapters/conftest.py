"""Trees of public data sets with the documented names; files are empty unless a test reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from openpyxl import Workbook

Cells = Sequence[Sequence[object]]


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def excel(path: Path, sheets: dict[str, Cells]) -> Path:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def text_table(path: Path, rows: Cells, *, joint: str = "\t") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(joint.join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files() -> Callable[..., Path]:
    return touch


@pytest.fixture
def workbook() -> Callable[..., Path]:
    return excel


@pytest.fixture
def table() -> Callable[..., Path]:
    return text_table

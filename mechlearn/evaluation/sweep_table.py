"""Collect the rows of a sweep: one table, and a list of the missing and failed cells."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from mechlearn.evaluation.rows import FAILED, ROW, Row, read_row, write_table
from mechlearn.evaluation.sweeps import cell_overrides, expected_cells

__all__ = ["Cell", "CollectResult", "collect"]

NO_ROW = "started, no row: killed or still running"


@dataclass(frozen=True)
class Cell:
    """One job without a row: its folder, its overrides, and the reason."""

    name: str
    overrides: str
    reason: str


@dataclass(frozen=True)
class CollectResult:
    """Result of `collect`. `table` is None if there is no row."""

    table: Path | None
    rows: tuple[Row, ...]
    missing: tuple[Cell, ...]
    failed: tuple[Cell, ...]

    @property
    def n_rows(self) -> int:
        return len(self.rows)

    @property
    def complete(self) -> bool:
        return bool(self.rows) and not self.missing and not self.failed


def collect(folder: str | Path, *, table: str | Path | None = None) -> CollectResult:
    """Write the rows of all jobs below `folder` to one CSV.

    A failed cell has a `failed.json`, also if it has an older row. A missing cell is in the sweep's
    `multirun.yaml` but has no folder, or has a folder without a row and without an error.

    Args:
        folder: an output folder of one job, of one sweep, or of several.
        table: where to write the CSV; `<folder>/table.csv` by default.

    Raises:
        FileNotFoundError: `folder` does not exist.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder. Give the output folder of a sweep.")
    jobs = _job_folders(root)
    rows, missing, failed = [], [], []
    for job in jobs:
        name, overrides = _name(root, job), cell_overrides(job)
        if (job / FAILED).is_file():
            failed.append(Cell(name, _words(overrides), _error(job / FAILED)))
        elif (job / ROW).is_file():
            rows.append({**overrides, **read_row(job / ROW), "cell": name})
        else:
            missing.append(Cell(name, _words(overrides), NO_ROW))
    missing += _never_started(root, jobs)
    path = Path(table) if table is not None else root / "table.csv"
    written = write_table(path, rows, first=("cell",)) if rows else None
    return CollectResult(written, tuple(rows), tuple(missing), tuple(failed))


def _job_folders(root: Path) -> list[Path]:
    found = {p.parent for name in (ROW, FAILED) for p in root.rglob(name)}
    found |= {p.parent.parent for p in root.rglob(".hydra/overrides.yaml")}
    return sorted(found, key=lambda p: _natural(p.relative_to(root).as_posix()))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that orders cell 9 before cell 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _never_started(root: Path, jobs: list[Path]) -> list[Cell]:
    """Cells of a sweep without a folder."""
    cells = []
    for multirun in sorted(root.rglob("multirun.yaml")):
        started = [cell_overrides(job) for job in jobs if multirun.parent in job.parents]
        expected = expected_cells(multirun)
        swept = {key for key in expected[0] if len({cell.get(key) for cell in expected}) > 1}
        for number, wanted in enumerate(expected):
            if wanted not in started:
                name = _name(root, multirun.parent / str(number))
                shown = {k: v for k, v in wanted.items() if k in swept} or wanted
                cells.append(Cell(name, _words(shown), "never started"))
    return cells


def _name(root: Path, job: Path) -> str:
    return job.relative_to(root).as_posix() if job != root else "."


def _words(overrides: dict[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in overrides.items())


def _error(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["error"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return "failed, and its error could not be read"

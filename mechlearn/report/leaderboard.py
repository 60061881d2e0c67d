"""A leaderboard as one self-contained HTML page: methods with intervals, figures, failures.

Evaluations, sweeps and scored models all write this page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechlearn.report.page import Picture, Section, Table, write_page

__all__ = ["CITATION", "Board", "Column", "board_table", "picture_of", "write_leaderboard"]

BEST = "*"
CITATION = (
    "Laslo D, Georgiou E, Linguraru MG, Rauschecker AM, Müller S, Jutzeler CR, Brüningk S. "
    "Mechanistic Learning with Guided Diffusion Models to Predict Spatio-Temporal Brain Tumor "
    "Growth. The method that this software implements; cite it, the software with its version, "
    "and the data sets that were used."
)
MAX_WIDTH_PX = 1100
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One score: key in the rows, heading, direction, digits.

    higher: whether higher is better; None for a number without a direction.
    """

    key: str
    heading: str
    higher: bool | None = None
    digits: int = 3


@dataclass(frozen=True)
class Board:
    """One table with one row a method.

    Attributes:
        title: heading of the section.
        columns: scores, in order.
        rows: `method` and, for each column's key, the value, its 95% interval `<key>_low` and
            `<key>_high` if there is one, and `<key>_empty`, the number of missing values.
        caption: caption with the cases that the numbers summarize.
        words: paragraphs above the table.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    words: Sequence[str] = ()


def board_table(board: Board) -> Table:
    """The board as a table of text, with the best value of a column marked.

    Example:
        >>> column = Column("dice", "Dice", True, 2)
        >>> board_table(Board("", [column], [{"method": "a", "dice": 0.5}])).rows
        [['a', '0.50 *']]
    """
    shown = [c for c in board.columns if any(row.get(c.key) is not None for row in board.rows)]
    best = {c.key: _best(board.rows, c) for c in shown}
    rows = [
        [str(row.get("method", "")), *(_cell(row, c, best[c.key]) for c in shown)]
        for row in board.rows
    ]
    arrows = {True: " (higher is better)", False: " (lower is better)", None: ""}
    marked = any(value is not None for value in best.values())
    caption = " ".join(filter(None, [board.caption, f"{BEST} best of the column." * marked]))
    return Table(["method", *(c.heading + arrows[c.higher] for c in shown)], rows, caption)


def _best(rows: Sequence[Row], column: Column) -> float | None:
    known = [float(row[column.key]) for row in rows if row.get(column.key) is not None]
    if column.higher is None or not known:
        return None
    return max(known) if column.higher else min(known)


def _cell(row: Row, column: Column, best: float | None) -> str:
    value = row.get(column.key)
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    text = _rounded(float(value), column.digits)
    low, high = row.get(f"{column.key}_low"), row.get(f"{column.key}_high")
    if low is not None and high is not None:
        text += f" ({_rounded(low, column.digits)} to {_rounded(high, column.digits)})"
    if row.get(f"{column.key}_empty"):
        text += f", {row[f'{column.key}_empty']} empty"
    return f"{text} {BEST}" if best is not None and float(value) == best else text


def _rounded(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return f"{value:.1e}" if value and float(text) == 0 else text


def write_leaderboard(
    path: str | Path,
    *,
    title: str,
    boards: Sequence[Board],
    pictures: Sequence[Picture] = (),
    failures: Sequence[Sequence[str]] = (),
    settings: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
    model: str = "",
) -> Path:
    """Write the page atomically; all text is escaped.

    Args:
        path: the HTML file.
        title: heading.
        boards: tables, in order.
        pictures: figures below the tables.
        failures: (case, reason) of all that was not scored.
        settings: settings of the evaluation, by key.
        commands: commands that write the page again.
        model: the weights.
    """
    sections = [
        Section(board.title, list(board.words), [board_table(board)]) for board in boards
    ]
    if pictures:
        sections.append(Section("Figures", pictures=list(pictures)))
    words = [] if failures else ["Everything that was started has been scored."]
    tables = [Table(["what", "why"], [list(map(str, f)) for f in failures],
                    f"{len(failures)} not scored.")] if failures else []  # fmt: skip
    sections.append(Section("Failures", words, tables))
    sections.append(Section("How to cite", [CITATION]))
    return write_page(path, title=title, sections=sections, model=model, settings=settings,
                      commands=commands)  # fmt: skip


def picture_of(path: Path, caption: str) -> Picture:
    """A PNG file as a figure of the page."""
    return Picture(path.read_bytes(), caption, caption, MAX_WIDTH_PX)

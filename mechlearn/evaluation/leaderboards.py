"""The page of an evaluation or of a collected sweep: `leaderboard.html`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.evaluation.comparison_table import REFERENCE
from mechlearn.evaluation.growth_scores import BASELINES
from mechlearn.evaluation.map_boards import map_boards
from mechlearn.evaluation.rows import Row, read_table
from mechlearn.evaluation.sweeps import swept_words
from mechlearn.metrics.rank import clustered_interval
from mechlearn.report.leaderboard import Board, Column, picture_of, write_leaderboard

__all__ = ["PAGE", "Leaderboard", "leaderboard"]

PAGE = "leaderboard.html"
MOST_COLUMNS, MOST_PICTURES = 10, 24
HIDDEN = ("cell", "fingerprint", "command")  # of the settings
MEDIANS = ("relative_error_abs",)  # of the grid; its other scores are means
SEED = 0  # of resampling
CAPTIONS = {
    "grid": "One slice in every cell, the scores of all cells, and the trends",
    "grid_example": "Another slice in every cell",
    "fig4_progression": "Generations at rising target sizes beside the last and the next scan",
    "fig4_maps": "Growth maps over the last scan; blue: its tumour, green: the true one",
    "fig4_hd95": "HD95 of every method, with and without the initial tumour",
}
GRID = (
    Column("relative_error_abs", "size error, median", False),
    Column("ssim_outside", "SSIM outside", True),
    Column("ssim_inside", "SSIM inside"),
    Column("change_inside_share", "share of the change"),
    Column("hyperintense_fraction", "brighter pixels", False),
    Column("dice_generation", "Dice", True),
    Column("dice_dilation", "Dice of dilation"),
)
FITS = (
    Column("crps_relative", "CRPS over largest size", False),
    Column("crps_log", "CRPS of log size", False),
    Column("nrmse", "nRMSE, median", False),
    Column("covered", "coverage of the 95% interval"),
    Column("width", "interval width", digits=2),
    Column("winkler", "Winkler score", False, digits=2),
)


@dataclass(frozen=True)
class Leaderboard:
    """A written page.

    Attributes:
        path: of the page, which can show scans and names of patients.
        title: its heading.
        boards: its tables, one row a method, without names of patients.
        n_left_out: number of cases without a score.
    """

    path: Path
    title: str
    boards: tuple[Board, ...]
    n_left_out: int

    def write_tables(self, path: Path) -> Path:
        """Write a page with only the tables, without images, names, settings and commands."""
        failures = [("cases", f"{self.n_left_out} left out")] if self.n_left_out else []
        return write_leaderboard(path, title=self.title, boards=self.boards, failures=failures)


def leaderboard(
    rows: Sequence[Row],
    folder: Path,
    *,
    out_dir: Path | None = None,
    failures: Sequence[tuple[str, str]] = (),
    pictures: Sequence[Path] = (),
    commands: Sequence[str] = (),
    words: Sequence[str] = (),
) -> Leaderboard:
    """Write the page of one job or of a sweep.

    Args:
        rows: collected rows, with `job`, and `cell`, the folder of the job below `folder`.
        folder: of the jobs.
        out_dir: receives the page; None for `folder`.
        failures: (cell, reason) of jobs without a row.
        pictures: figures of all rows; figures of the jobs are in their folders.
        commands: commands that compute the rows again.
        words: sentences above the first table.
    """
    boards: list[Board] = []
    out_dir, drawn = out_dir or folder, list(pictures)
    for job, group in _by_job(rows).items():
        if job == "longitudinal":
            found, more = map_boards(group, folder, out_dir)
            boards += found
            drawn += more
        if job != "longitudinal" or not boards:
            boards.append(BOARDS.get(job, _plain_board)(job, group, folder))
    if boards and words:
        boards[0] = replace(boards[0], words=[*boards[0].words, *words])
    if len(rows) == 1:
        drawn += sorted(p for p in (folder / rows[0]["cell"]).glob("*.png") if p not in drawn)
    left_out = [(f"{row['cell']}: cases", f"{row['n_skipped']} left out, see its table")
                for row in rows if row.get("n_skipped")]  # fmt: skip
    shared = {k: v for k, v in _shared(rows).items() if isinstance(v, (str, bool, int))}
    title = f"Leaderboard: {', '.join(_by_job(rows)) or 'no rows'}"
    path = write_leaderboard(
        out_dir / PAGE, title=title, boards=boards,
        pictures=[picture_of(p, _caption(p)) for p in drawn[:MOST_PICTURES]],
        failures=[*failures, *left_out], commands=commands, model=str(shared.get("denoiser", "")),
        settings={k: v for k, v in shared.items() if k not in HIDDEN},
    )  # fmt: skip
    skipped = sum(int(row.get("n_skipped") or 0) for row in rows)
    return Leaderboard(path, title, tuple(boards), skipped)


def _by_job(rows: Sequence[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(str(row.get("job", "evaluation")), []).append(row)
    return out


def _shared(rows: Sequence[Row]) -> Row:
    """Keys that all rows have with one value."""
    first = rows[0] if rows else {}
    return {k: v for k, v in first.items() if all(r.get(k) == v for r in rows) and v is not None}


def _caption(path: Path) -> str:
    """The caption of a figure by its file name, without a number at the end."""
    plain = re.sub(r"_\d+$", "", path.stem)
    return CAPTIONS.get(plain, path.stem.replace("_", " "))


def _plain_board(job: str, rows: Sequence[Row], folder: Path) -> Board:
    """All numbers with an interval; without any, the first numbers."""
    numbers = [k for k, v in rows[0].items() if isinstance(v, float)]
    with_ends = [k for k in numbers if f"{k}_low" in rows[0] and f"{k}_high" in rows[0]]
    keys = (with_ends or numbers)[:MOST_COLUMNS]
    columns = [Column(key, key.replace("_", " ")) for key in keys]
    return Board(job.replace("_", " "), columns, _named(rows), _counts(rows))


def _grid_board(job: str, rows: Sequence[Row], folder: Path) -> Board:
    ordered = sorted(rows, key=lambda r: (r["noise_level"], r["scale"]))
    named = [{**r, **_grid_intervals(folder / str(r.get("cell", ".")) / "pairs.csv"),
              "method": f"NL={r['noise_level']}, s_R={r['scale'] / 1000:g}k"}
             for r in ordered]  # fmt: skip
    return Board("Noise level and regressor scale", GRID, named, _counts(rows))


def _grid_intervals(path: Path) -> Row:
    """95% intervals of a cell's scores from its table of pairs; none without the table."""
    pairs = [r for r in read_table(path) if r.get("skipped") is None] if path.is_file() else []
    out: Row = {}
    for key in (column.key for column in GRID):
        known = [(float(r[key]), str(r["patient"])) for r in pairs if r.get(key) is not None]
        if len({patient for _, patient in known}) > 1:
            found = clustered_interval(
                [v for v, _ in known], [p for _, p in known], rng=np.random.default_rng(SEED),
                statistic="median" if key in MEDIANS else "mean",
            )  # fmt: skip
            out |= {f"{key}_low": found.low, f"{key}_high": found.high}
    return out


def _fits_board(job: str, rows: Sequence[Row], folder: Path) -> Board:
    """One row a growth model, then the baselines of the first job."""
    compared = [r for r in rows if "compared_n_held_out" in r]
    if not compared:  # too few patients for baselines of the cohort
        return _plain_board(job, rows, folder)
    lines = [_compared(row, row["law"], row["method"]) for row in _named(compared)]
    lines += [_compared(compared[0], name, f"baseline: {name.replace('_', ' ')}")
              for name in (REFERENCE, *BASELINES)
              if f"compared_{FITS[0].key}_{name}" in compared[0]
              and name not in {row["law"] for row in compared}]  # fmt: skip
    return Board("Sizes at the held-out visit", FITS, lines, _counts(rows))


def _compared(row: Row, model: str, method: str) -> Row:
    """Scores of one model in the comparison of sizes in a row."""
    return {"method": method} | {
        f"{column.key}{end}": row.get(f"compared_{column.key}_{model}{end}")
        for column in FITS for end in ("", "_low", "_high")
    }  # fmt: skip


def _named(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "method": swept_words(row, rows)} for row in rows]


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    first = rows[0]
    known = [(first.get(k), word) for k, word in (
        ("n_slices", "slices"), ("n_pairs", "pairs"), ("n_cases", "cases"),
        ("n_patients", "patients"))]  # fmt: skip
    words = [f"{n} {word}" for n, word in known if n]
    return f"{', '.join(words)}; 95% intervals resample patients." if words else ""


BOARDS: dict[str, Callable[[str, Sequence[Row], Path], Board]] = {
    "grid": _grid_board, "growth_fits": _fits_board,
}  # fmt: skip

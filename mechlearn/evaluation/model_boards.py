"""The leaderboard of scored models: maps at two sizes, errors of size, failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mechlearn.evaluation.leaderboards import PAGE
from mechlearn.evaluation.model_scores import SIZE_SCORES, ModelScores, table_of
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.report.leaderboard import Board, Column, write_leaderboard

__all__ = ["write_model_page"]

PLACES = (
    Column("dice", "Dice", True), Column("hd95_mm", "HD95, mm", False, 2),
    Column("surface_dice_2mm", "surface Dice at 2 mm", True),
    Column("continuous_dice", "continuous Dice", True),
    Column("average_precision", "average precision", True),
    Column("brier", "Brier score", False, 4), Column("ece", "calibration error", False, 4),
    Column("coverage_15mm", "coverage at a 15 mm margin's volume", True),
)  # fmt: skip
SIZES = (
    Column("size_error", "volume error, share of the true volume", False),
    Column("covered", "coverage of the 95% interval"),
    Column("width", "interval width, share of the true volume"),
)


def write_model_page(scores: ModelScores, folder: Path, *, command: str) -> Path:
    """Write `leaderboard.html` and `leaderboard.csv`.

    Args:
        scores: of one or more models.
        folder: receives both.
        command: as typed.
    """
    lines = table_of(scores.rows)
    named = [_at(line, scores.models) for line in lines]
    own = [line for line in named if line["size"] != "true"]
    true = [line for line in named if line["size"] == "true"]
    write_table(folder / "leaderboard.csv", lines, first=("method", "size", "n"))
    patients = len({row["patient"] for row in scores.rows})
    counts = (f"{scores.n_cases} held-out visits, {patients} patients scored; means over visits, "
              "95% intervals resample patients.")  # fmt: skip
    boards = [
        Board("Forecasts", PLACES, _first(own, scores.models), counts,
              ["Each model at its own size; baselines at the size of a model, named with it."]),
        Board("Location only: every method at the true volume", PLACES,
              _first(true, scores.models), counts),
        Board("Sizes", SIZES, table_of(scores.sizes, SIZE_SCORES), counts,
              ["From sizes.csv where a model has one, else the volume of its mask."]),
    ]  # fmt: skip
    return write_leaderboard(
        folder / PAGE, title=f"Leaderboard: {', '.join(scores.models)}", boards=boards,
        failures=[(f"{model}: {visit}", why) for model, visit, why in scores.failures],
        commands=[command],
    )  # fmt: skip


def _at(line: Row, models: Sequence[str]) -> Row:
    """The row of a method, with the size of a baseline in its name."""
    if line["method"] in models:
        return line
    size = f" at the size of {line['size']}" if line["size"] in models else ""
    return {**line, "method": str(line["method"]).replace("_", " ") + size}


def _first(lines: Sequence[Row], models: Sequence[str]) -> list[Row]:
    """Models before baselines."""
    return sorted(lines, key=lambda line: line["method"] not in models)

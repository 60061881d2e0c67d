"""Terminal table of scored forecasts: the best value of each column in bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

__all__ = ["score_table"]

COLUMNS = (
    ("dice", "Dice", True), ("hd95_mm", "HD95", False), ("surface_dice_2mm", "sDice", True),
    ("continuous_dice", "cDice", True), ("average_precision", "AP", True),
    ("brier", "Brier", False), ("ece", "ECE", False), ("coverage_15mm", "cover", True),
)  # fmt: skip
CAPTION = (
    "HD95 in mm, sDice: surface Dice at 2 mm, cDice: continuous Dice, AP: average precision, "
    "cover: share of the new tumour within the volume of a 15 mm margin"
)


def score_table(table: Sequence[Mapping[str, Any]], n_patients: int) -> Table:
    """Means over patients, one row a method and size; `-` where a metric is undefined.

    Args:
        table: rows of `evaluation.scoring.summary_of`.
        n_patients: for the title.
    """
    out = Table("method", "size", *(head for _, head, _ in COLUMNS), box=None, pad_edge=False,
                title=f"{n_patients} patient(s), means", caption=CAPTION)  # fmt: skip
    out.padding = (0, 1, 0, 0)
    out.columns[0].no_wrap = True
    best = {}
    for key, _, higher in COLUMNS:
        known = [row[key] for row in table if row[key] is not None]
        best[key] = (max if higher else min)(known) if known else None
    for row in table:
        cells = []
        for key, _, _ in COLUMNS:
            value, missing = row[key], row[f"{key}_undefined"]
            text = "-" if value is None else f"{value:.{1 if key == 'hd95_mm' else 3}f}"
            text = f"[bold]{text}[/bold]" if value is not None and value == best[key] else text
            cells.append(
                text + (f" ({missing} undefined)" if missing and value is not None else "")
            )
        mark = "bold blue" if row["method"] == "prediction" else None
        names = map(escape, (row["method"].replace("_", " "), row["size"]))
        out.add_row(*names, *cells, style=mark)
    return out

"""Figures over the rows of a whole sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechlearn.jobs.collect import CollectResult
from mechlearn.jobs.grid import load_examples
from mechlearn.report.grid import GridExample, grid_figure
from mechlearn.report.style import save

__all__ = ["draw_collected"]

FLAIR = -1  # t2f is the last channel


def draw_collected(result: CollectResult, folder: str | Path) -> list[Path]:
    """Draw what the rows collected from `folder` allow: the grid over NL and scale.

    The picture lies beside their table.
    """
    cells = [row for row in result.rows if row.get("job") == "grid"]
    if result.table is None or len({(r["noise_level"], r["scale"]) for r in cells}) < 2:
        return []
    figure = grid_figure(cells, _examples(cells, Path(folder)))
    return [save(figure, result.table.with_name("grid.png"))]


def _examples(cells: Sequence[Mapping[str, Any]], folder: Path) -> list[GridExample]:
    """The picture of one slice that every cell has kept; none if there is no such slice."""
    kept = [(row, {e.slice_id: e for e in load_examples(folder / row["cell"])}) for row in cells]
    common = set.intersection(*(set(pictures) for _, pictures in kept))
    if not common:
        return []
    name = min(common)
    return [
        GridExample(
            noise_level=int(row["noise_level"]),
            scale=float(row["scale"]),
            reference=pictures[name].reference[FLAIR],
            generated=pictures[name].generated[FLAIR],
            brain=pictures[name].brain,
            tumour=pictures[name].tumour,
        )
        for row, pictures in kept
    ]

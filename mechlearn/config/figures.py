"""Figures over the rows of a whole sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechlearn.jobs.collect import CollectResult
from mechlearn.jobs.grid import load_examples
from mechlearn.jobs.rows import read_table
from mechlearn.report.grid import GridExample, grid_figure
from mechlearn.report.growth import laws_figure, method_labels, scores_figure
from mechlearn.report.style import save

__all__ = ["draw_collected"]

FLAIR = -1  # t2f is the last channel


def draw_collected(result: CollectResult, folder: str | Path) -> list[Path]:
    """Draw what the rows collected from `folder` allow: the grid over NL and scale, growth laws.

    The pictures lie beside their table.
    """
    if result.table is None:
        return []
    drawn = []
    cells = [row for row in result.rows if row.get("job") == "grid"]
    if len({(r["noise_level"], r["scale"]) for r in cells}) > 1:
        figure = grid_figure(cells, _examples(cells, Path(folder)))
        drawn.append(save(figure, result.table.with_name("grid.png")))
    fits = [r for r in result.rows if r.get("job") == "growth_fits" and r.get("n_slices")]
    if len(fits) > 1:
        drawn.append(save(laws_figure(fits), result.table.with_name("laws.png")))
        tables = _slices(fits, Path(folder))
        if tables:
            drawn.append(save(scores_figure(tables), result.table.with_name("scores.png")))
    return drawn


def _slices(fits: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Label -> rows of the slices that were forecast, of the jobs whose table is still there."""
    out = {}
    for name, row in zip(method_labels(fits), fits, strict=True):
        path = folder / row["cell"] / "slices.csv"
        if path.is_file():
            out[name] = [r for r in read_table(path) if r["skipped"] is None]
    return out


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

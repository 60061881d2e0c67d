"""Figures, trends and the suggested choice of a collected grid over noise level and scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechlearn.evaluation.grid_choice import choose_cell
from mechlearn.evaluation.grid_trends import grid_trends, trend_keys, trend_words
from mechlearn.evaluation.noise_scale_grid import Example, load_examples
from mechlearn.evaluation.rows import Row, read_table, write_row, write_table
from mechlearn.report.grid_figure import GridExample, example_figure, grid_figure, grids
from mechlearn.report.grid_scores import GridScores
from mechlearn.report.slice_pictures import flair
from mechlearn.report.style import save

__all__ = ["draw_grids"]

Cells = Sequence[Mapping[str, Any]]


def draw_grids(
    rows: Cells, folder: Path, out_dir: Path
) -> tuple[list[Path], list[str]]:
    """Draw and describe each grid among the collected rows.

    Writes `grid.png`, `grid_examples_*.png`, `trends.csv` and `grid.json` (flat keys) to `out_dir`;
    with several grids each has a number.

    Args:
        rows: collected rows, with `cell`, the folder of the job below `folder`.

    Returns:
        Paths of the figures, and lines of text.
    """
    cells = [row for row in rows if row.get("job") == "grid"]
    found = {name: part for name, part in grids(cells).items()
             if len({(r["noise_level"], r["scale"]) for r in part}) > 1}  # fmt: skip
    drawn: list[Path] = []
    words: list[str] = []
    for number, (name, part) in enumerate(found.items(), start=1):
        stem = "grid" if len(found) == 1 else f"grid_{number}"
        pictures, lines = _draw(part, folder, out_dir, stem)
        drawn += pictures
        words += [f"{stem}: {name}"] * bool(name) + lines
    return drawn, words


def _draw(cells: Cells, folder: Path, out_dir: Path, stem: str) -> tuple[list[Path], list[str]]:
    pairs = _pairs(cells, folder)
    trends = grid_trends(pairs) if pairs else []
    choice = choose_cell(pairs) if pairs else None
    examples = _examples(cells, folder)
    keys: Row = trend_keys(trends)
    words = trend_words(trends)
    scores = GridScores(cells, pairs, [t.row for t in trends])
    if choice is not None:
        keys |= choice.keys
        words.append(choice.words)
        scores = GridScores(cells, pairs, scores.trends, choice.size_error, choice.ssim_outside,
                            choice.front, choice.chosen)  # fmt: skip
    first, *others = examples or [[]]
    drawn = [save(grid_figure(scores, first), out_dir / f"{stem}.png")]
    for i, more in enumerate(others, start=2):
        drawn.append(save(example_figure(more), out_dir / f"{stem}_example_{i}.png"))
    if trends:
        write_table(out_dir / f"{stem}_trends.csv", [t.row for t in trends],
                    first=("outcome", "factor", "at", "verdict"))  # fmt: skip
    if keys:
        write_row(out_dir / f"{stem}.json", {"n_cells": len(cells), **keys})
    return drawn, words


def _pairs(cells: Cells, folder: Path) -> list[Row]:
    """The rows of every cell's `pairs.csv`, with its noise level and scale."""
    out = []
    for cell in cells:
        path = folder / cell["cell"] / "pairs.csv"
        if path.is_file():
            where = {"noise_level": cell["noise_level"], "scale": cell["scale"]}
            out += [{**r, **where} for r in read_table(path) if r.get("skipped") is None]
    return out


def _name(example: Example) -> tuple[str, float]:
    return example.slice_id, round(example.ratio_requested, 6)


def _examples(cells: Cells, folder: Path) -> list[list[GridExample]]:
    """Images that all cells have, one list a slice; the largest requested change first."""
    kept = [(row, {_name(e): e for e in load_examples(folder / row["cell"])}) for row in cells]
    common = set.intersection(*(set(pictures) for _, pictures in kept))
    ordered = sorted(common, key=lambda name: (-abs(name[1] - 1), name))
    return [[_picture(row, pictures[name]) for row, pictures in kept] for name in ordered]


def _picture(row: Mapping[str, Any], kept: Example) -> GridExample:
    title = f"{kept.slice_id}, asked for {kept.ratio_requested:.2f} times the initial size"
    return GridExample(
        noise_level=int(row["noise_level"]),
        scale=float(row["scale"]),
        reference=flair(kept.reference),
        generated=flair(kept.generated),
        brain=kept.brain,
        tumour=kept.tumour,
        follow_up=flair(kept.follow_up) if kept.has_follow_up else None,
        target=kept.target_tumour,
        measured=kept.measured,
        title=title + (" (as at the next visit)" if kept.has_follow_up else ""),
    )

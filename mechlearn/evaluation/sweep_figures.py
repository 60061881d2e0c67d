"""Figures and leaderboard of a collected sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechlearn.evaluation.grid_pages import draw_grids
from mechlearn.evaluation.leaderboards import leaderboard
from mechlearn.evaluation.rows import read_table
from mechlearn.evaluation.sweep_table import CollectResult
from mechlearn.report.growth_figures import laws_figure, method_labels, scores_figure
from mechlearn.report.style import save

__all__ = ["draw_collected"]


def draw_collected(result: CollectResult, folder: str | Path) -> tuple[list[Path], list[str]]:
    """Draw the figures that the rows collected from `folder` allow (grid over NL and scale, growth
    models), and write the leaderboard.

    Returns:
        Paths of the figures, and lines of text about the results.
    """
    if result.table is None:
        return [], []
    drawn, words = draw_grids(result.rows, Path(folder), result.table.parent)
    fits = [r for r in result.rows if r.get("job") == "growth_fits" and r.get("n_slices")]
    if len(fits) > 1:
        drawn.append(save(laws_figure(fits), result.table.with_name("laws.png")))
        tables = _slices(fits, Path(folder))
        if tables:
            drawn.append(save(scores_figure(tables), result.table.with_name("scores.png")))
    page = leaderboard(
        result.rows, Path(folder), out_dir=result.table.parent, pictures=drawn,
        failures=[(f"{c.name} {c.overrides}", c.reason) for c in (*result.failed, *result.missing)],
        commands=[f"python -m mechlearn.collect {folder}"], words=words,
    )  # fmt: skip
    return drawn, [*words, f"page: {page.path}"]


def _slices(fits: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Label -> rows of the slices of each job that has its table."""
    out = {}
    for name, row in zip(method_labels(fits), fits, strict=True):
        path = folder / row["cell"] / "slices.csv"
        if path.is_file():
            out[name] = [r for r in read_table(path) if r["skipped"] is None]
    return out

"""Figure of the grid over noise level and regressor scale, as Fig. 2 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from mechlearn.report.grid_scores import GridScores, draw_scores, scale_word
from mechlearn.report.slice_pictures import Window, brain_window, contour, show, side_letters
from mechlearn.report.style import ORANGE, SKY, VERMILION, new_figure, stacked

__all__ = ["GridExample", "example_figure", "grid_figure", "grids"]

Row = Mapping[str, Any]
WIDTH = 13.0  # inches
SCORES_HEIGHT = 6.8
CHANGE = 1.0  # limit of the difference maps' colours: half of the intensity range
OTHER_KEYS = (
    "data", "split", "n_pairs", "denoiser", "guide", "weights", "seed", "encode", "steps",
    "solver", "invert_iterations", "anchor", "guidance", "order",
    "dynamic", "clip_x0", "smooth_px", "target_boost", "keep_background",
    "precision",
)  # fmt: skip


@dataclass(frozen=True)
class GridExample:
    """Images of one cell: FLAIR planes (H, W) in [-1, 1], masks (H, W) bool.

    Attributes:
        follow_up: the true next scan, or None.
        target: the tumour of the true next scan, or the initial one dilated to the target.
        measured: the tumour segmented in `generated` by a FLAIR threshold.
        title: the target, in words.
    """

    noise_level: int
    scale: float
    reference: np.ndarray
    generated: np.ndarray
    brain: np.ndarray
    tumour: np.ndarray
    follow_up: np.ndarray | None = None
    target: np.ndarray | None = None
    measured: np.ndarray | None = None
    title: str = ""


def grid_figure(scores: GridScores, examples: Sequence[GridExample] = ()) -> Figure:
    """Generated scans with difference maps over the grid, and the scores below them.

    Args:
        scores: scores of the cells.
        examples: images of one slice, one a cell; without them only scores are drawn.
    """
    if not examples:
        figure = new_figure(WIDTH, SCORES_HEIGHT)
        draw_scores(figure, scores)
        return figure
    height = _panel_height(examples)
    figure = new_figure(WIDTH, height + SCORES_HEIGHT)
    top, below = stacked(figure, height, SCORES_HEIGHT)
    _example_panel(top, examples)
    draw_scores(below, scores)
    return figure


def example_figure(examples: Sequence[GridExample]) -> Figure:
    """Only the images of one slice, without scores."""
    figure = new_figure(WIDTH, _panel_height(examples))
    _example_panel(figure, examples)
    return figure


def grids(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Split the rows of a sweep into grids over noise level and scale, one a figure.

    Returns:
        Other settings of a grid, such as `guide=regressor`, -> its rows; "" if there is one grid.
    """
    varied = [k for k in OTHER_KEYS if len({_setting(r, k) for r in rows}) > 1]
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(",".join(f"{k}={_setting(row, k)}" for k in varied), []).append(row)
    return out


def _setting(row: Row, key: str) -> str:
    """A setting as text. A stride that visits every level reads the same at every noise level."""
    if key == "steps" and row.get("steps") == row.get("noise_level"):
        return "all"
    return str(row.get(key))


def _panel_height(examples: Sequence[GridExample]) -> float:
    """Height in inches of the images, with one row a noise level."""
    rows, columns = brain_window(examples[0].brain)
    shape = examples[0].brain[rows, columns].shape
    wide = 1 + 2 * len({e.scale for e in examples})
    each = (WIDTH - 1.2) / wide * shape[0] / shape[1]
    return each * len({e.noise_level for e in examples}) + 0.9


def _example_panel(figure: Figure | SubFigure, examples: Sequence[GridExample]) -> None:
    levels = sorted({e.noise_level for e in examples})
    scales = sorted({e.scale for e in examples})
    axes = figure.subplots(len(levels), 1 + 2 * len(scales), squeeze=False,
                           gridspec_kw={"wspace": 0.0, "hspace": 0.0})  # fmt: skip
    for ax in axes.flat:
        ax.set_axis_off()
    first, window = examples[0], brain_window(examples[0].brain)
    at = {(e.noise_level, e.scale): e for e in examples}
    drawn = None
    for i, level in enumerate(levels):
        axes[i, 1].text(-0.06, 0.5, f"NL = {level}", transform=axes[i, 1].transAxes, rotation=90,
                        ha="center", va="center", fontsize=9, fontweight="bold")  # fmt: skip
        for j, scale in enumerate(scales):
            pair = axes[i, 1 + 2 * j], axes[i, 2 + 2 * j]
            cell = at.get((level, scale))
            if cell is None:
                pair[0].text(0.5, 0.5, "no row", ha="center", va="center", fontsize=9)
                continue
            title = f"$s_R$ = {scale_word(scale)}" if i == 0 else ""
            drawn = _cell(pair, cell, window, title)
    _left_column(axes[:, 0], first, window)
    figure.suptitle(first.title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes[:, -1], fraction=0.08, shrink=0.8)
        bar.set_label("FLAIR, generated - input (range [-1, 1])", fontsize=8)
        bar.ax.tick_params(labelsize=7)


def _cell(pair: tuple[Axes, Axes], cell: GridExample, window: Window, title: str) -> Any:
    """Generated scan with its measured tumour; difference map with initial and target outlines."""
    show(pair[0], cell.generated, window=window, title=title)
    if cell.measured is not None:
        contour(pair[0], cell.measured, colour=ORANGE, window=window)
    drawn = show(pair[1], cell.generated - cell.reference, window=window, colours="RdBu_r",
                 limits=(-CHANGE, CHANGE), title="difference" if title else "")  # fmt: skip
    contour(pair[1], cell.tumour, colour="black", window=window)
    return drawn


def _left_column(axes: np.ndarray, example: GridExample, window: Window) -> None:
    """Input, true next scan, and the legend of the outlines."""
    show(axes[0], example.reference, window=window, title="input")
    contour(axes[0], example.tumour, colour=SKY, window=window)
    side_letters(axes[0])
    keys = [("initial tumour (black: on differences)", SKY)]
    free = axes[0]
    if len(axes) > 1 and example.follow_up is not None:
        free = axes[1]
        show(free, example.follow_up, window=window, title="true next scan")
    if example.target is not None:
        contour(free, example.target, colour=VERMILION, window=window, dashed=free is axes[0])
        keys.append(("tumour of the next scan" if example.follow_up is not None
                     else "dilated to the target", VERMILION))  # fmt: skip
    if example.measured is not None:
        keys.append(("measured on FLAIR", ORANGE))
    if len(axes) > 2:
        lines = [Line2D([], [], color=colour, linewidth=1.3) for _, colour in keys]
        axes[2].legend(lines, [_broken(word) for word, _ in keys], fontsize=7, frameon=False,
                       loc="upper left", handlelength=1.2, borderpad=0)  # fmt: skip


def _broken(words: str, longest: int = 20) -> str:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) >= longest:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)

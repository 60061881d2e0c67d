"""The grid over noise level and regressor scale, as the paper's Fig. 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mechlearn.report.images import Window, brain_window, contour, show
from mechlearn.report.style import BLACK, CYCLE, SKY, label_axes, new_figure, stacked

__all__ = ["GridExample", "grid_figure", "grids"]

Row = Mapping[str, Any]
WIDTH = 13.0  # inches
OTHER_KEYS = ("denoiser", "guide", "encode", "steps", "clip_x0", "target_boost", "seed")


@dataclass(frozen=True)
class GridExample:
    """One cell's picture: FLAIR planes (H, W) in [-1, 1] of reference and generation."""

    noise_level: int
    scale: float
    reference: np.ndarray
    generated: np.ndarray
    brain: np.ndarray
    tumour: np.ndarray


def scale_word(scale: float) -> str:
    """50000.0 -> 50k."""
    return f"{scale / 1000:g}k" if scale >= 1000 else f"{scale:g}"


def grid_figure(rows: Sequence[Row], examples: Sequence[GridExample] = ()) -> Figure:
    """Generated scans with difference maps over the grid, and the heat maps of its scores.

    Args:
        rows: one a cell, with `noise_level`, `scale`, `ssim_inside`, `ssim_outside`,
            `ratio_requested`, `ratio_achieved`.
        examples: pictures of the same slice, one a cell; without them only heat maps are drawn.
    """
    if not examples:
        figure = new_figure(WIDTH, 3.6)
        _heat_row(figure, rows)
        return figure
    height = _panel_height(examples)
    figure = new_figure(WIDTH, height + 3.6)
    top, below = stacked(figure, height, 3.6)
    _example_panel(top, examples)
    _heat_row(below, rows)
    return figure


def grids(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of one figure each: a sweep over more than noise level and scale is several grids.

    Returns:
        What sets a grid apart, such as `guide=regressor`, -> its rows; "" if there is one grid.
    """
    varied = [k for k in OTHER_KEYS if len({str(r.get(k)) for r in rows}) > 1]
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(",".join(f"{k}={row.get(k)}" for k in varied), []).append(row)
    return out


def _panel_height(examples: Sequence[GridExample]) -> float:
    """Inches that hold the pictures without gaps: as many rows as noise levels."""
    rows, columns = brain_window(examples[0].brain)
    shape = examples[0].brain[rows, columns].shape
    wide = 1 + 2 * len({e.scale for e in examples})
    each = (WIDTH - 0.8) / wide * shape[0] / shape[1] + 0.3
    return each * len({e.noise_level for e in examples})


def _example_panel(figure: Figure | SubFigure, examples: Sequence[GridExample]) -> None:
    levels = sorted({e.noise_level for e in examples})
    scales = sorted({e.scale for e in examples})
    axes = figure.subplots(len(levels), 1 + 2 * len(scales), squeeze=False)
    window = brain_window(examples[0].brain)
    at = {(e.noise_level, e.scale): e for e in examples}
    for i, level in enumerate(levels):
        for ax in axes[i]:
            ax.set_axis_off()
        _reference(axes[i, 0], examples[0], window, f"input, NL = {level}")
        for j, scale in enumerate(scales):
            cell = at.get((level, scale))
            pair = axes[i, 1 + 2 * j], axes[i, 2 + 2 * j]
            if cell is None:
                pair[0].text(0.5, 0.5, "no row", ha="center", va="center")
                continue
            title = f"$s_R$ = {scale_word(scale)}" if i == 0 else ""
            show(pair[0], cell.generated, window=window, title=title)
            drawn = show(pair[1], cell.generated - cell.reference, window=window,
                         colours="RdBu_r", title="difference" if i == 0 else "")
    bar = figure.colorbar(drawn, ax=axes[:, -1], fraction=0.08)
    bar.set_label("FLAIR change against the input (range [-1, 1])", fontsize=8)


def _reference(ax: Axes, example: GridExample, window: Window, title: str) -> None:
    show(ax, example.reference, window=window, title=title)
    contour(ax, example.tumour, colour=SKY, window=window)


def _heat_row(figure: Figure | SubFigure, rows: Sequence[Row]) -> None:
    axes = figure.subplots(1, 4)
    _heat(axes[0], rows, "ssim_inside", "SSIM in the tumour region")
    _heat(axes[1], rows, "ssim_outside", "SSIM outside")
    _heat(axes[2], rows, "size_error_fraction", "size error measured\n(fraction of brain)",
          fewer_is_better=True)
    _sizes(axes[3], rows)


def table_of(rows: Sequence[Row], key: str) -> tuple[list[int], list[float], np.ndarray]:
    """(noise levels, scales, values (levels, scales)); NaN where a cell has no value."""
    levels = sorted({int(r["noise_level"]) for r in rows})
    scales = sorted({float(r["scale"]) for r in rows})
    values = np.full((len(levels), len(scales)), np.nan)
    for row in rows:
        if row.get(key) is not None:
            values[levels.index(int(row["noise_level"])), scales.index(float(row["scale"]))] = (
                row[key])
    return levels, scales, values


def _heat(ax: Axes, rows: Sequence[Row], key: str, title: str, *, fewer_is_better: bool = False
          ) -> None:
    levels, scales, values = table_of(rows, key)
    drawn = ax.imshow(values, cmap="cividis_r" if fewer_is_better else "cividis", aspect="auto")
    ax.set_xticks(range(len(scales)), [scale_word(s) for s in scales])
    ax.set_yticks(range(len(levels)), [str(n) for n in levels])
    ax.set_xlabel("regressor scale $s_R$")
    ax.set_ylabel("noise level NL")
    ax.set_title(title, fontsize=10, fontweight="bold", loc="left")
    low, high = drawn.get_clim()
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.text(j, i, "–", ha="center", va="center")
            continue
        red, green, blue, _ = drawn.cmap(drawn.norm(value)) if high > low else (1, 1, 1, 1)
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        ax.text(j, i, f"{value:.3f}", ha="center", va="center", fontsize=8,
                color="white" if dark else BLACK)


def _sizes(ax: Axes, rows: Sequence[Row]) -> None:
    levels, scales, achieved = table_of(rows, "ratio_achieved")
    markers = "os^Dvp*X"
    for i, level in enumerate(levels):
        ax.plot(scales, achieved[i], marker=markers[i % len(markers)],
                color=CYCLE[i % len(CYCLE)], label=f"NL = {level}")
    wanted = [r["ratio_requested"] for r in rows if r.get("ratio_requested") is not None]
    if wanted:
        ax.axhline(float(np.median(wanted)), color=BLACK, linestyle="--", linewidth=1,
                   label="requested")
    ax.axhline(1.0, color=BLACK, linestyle=":", linewidth=1, label="no change")
    ax.set_xscale("log")
    ax.set_xticks(scales, [scale_word(s) for s in scales])
    ax.minorticks_off()
    label_axes(ax, x="regressor scale $s_R$", y="size over initial size (median)",
               title="Achieved size")
    ax.legend(fontsize=7, frameon=False)

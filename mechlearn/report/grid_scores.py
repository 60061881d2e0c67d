"""Scores of the grid over noise level and regressor scale: heat maps, sizes, front, trends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from mechlearn.report.style import BLACK, BLUE, CYCLE, GREY, VERMILION, label_axes

__all__ = ["GridScores", "draw_scores", "scale_word", "table_of"]

Row = Mapping[str, Any]
Cell = tuple[int, float]
MARKERS = "os^Dvp*X"
PAPERS: Cell = (200, 50_000.0)  # the paper's choice, section 3.1
ARROWS = {  # outcome, factor -> label of its rank correlation
    ("alteration_outside", "noise_level"): "NL → alteration\noutside",
    ("tumour_change", "noise_level"): "NL → tumour\nsize change",
    ("alteration_outside", "scale"): "$s_R$ → alteration\noutside",
    ("alteration_inside", "scale"): "$s_R$ → alteration\ninside",
    ("tumour_change", "scale"): "$s_R$ → tumour\nsize change",
    ("hyperintense_fraction", "scale"): "$s_R$ → hyper-\nintensity",
}


@dataclass(frozen=True)
class GridScores:
    """Scores of one grid.

    Attributes:
        cells: one row a cell, with `noise_level`, `scale` and its scores.
        pairs: one row a generation with the same two keys, `ratio_requested`, `ratio_achieved`.
        trends: `slope` and `rank` with their intervals, by `outcome`, `factor`, `at`.
        size_error, ssim_outside: one value a cell.
        front: cells of the Pareto front.
        chosen: the suggested cell.
    """

    cells: Sequence[Row]
    pairs: Sequence[Row] = ()
    trends: Sequence[Row] = ()
    size_error: Mapping[Cell, float] = field(default_factory=dict)
    ssim_outside: Mapping[Cell, float] = field(default_factory=dict)
    front: Sequence[Cell] = ()
    chosen: Cell | None = None


def scale_word(scale: float) -> str:
    """50000.0 -> 50k."""
    return f"{scale / 1000:g}k" if scale >= 1000 else f"{scale:g}"


def draw_scores(figure: Figure | SubFigure, scores: GridScores) -> None:
    """Two rows: four heat maps; achieved sizes, requested against achieved, front, trends."""
    axes = figure.subplots(2, 4)
    rows = scores.cells
    n, patients = (max((int(r.get(k) or 0) for r in rows), default=0)
                   for k in ("n_pairs", "n_patients"))  # fmt: skip
    figure.suptitle(
        f"Each cell: {n} generations of {patients} patients. Box: the suggested choice; dashed: "
        f"the paper's, NL = {PAPERS[0]}, $s_R$ = {scale_word(PAPERS[1])}.", fontsize=8.5, x=0.01,
        ha="left")  # fmt: skip
    heat = partial(_heat, rows=rows, chosen=scores.chosen)
    heat(axes[0, 0], "ssim_inside", "SSIM in the tumour region")
    heat(axes[0, 1], "ssim_outside", "SSIM outside")
    heat(axes[0, 2], "relative_error_abs", "Size error", fewer_is_better=True)
    heat(axes[0, 3], "hyperintense_fraction", "Brain brighter than the input",
          fewer_is_better=True, percent=True)  # fmt: skip
    _sizes(axes[1, 0], rows)
    _response(axes[1, 1], scores)
    _front(axes[1, 2], scores)
    _trends(axes[1, 3], scores.trends)


def _label(ax: Axes, *, x: str, y: str, title: str) -> None:
    """As `label_axes`, in smaller type."""
    if not ax.has_data():
        ax.text(0.5, 0.5, "needs a row in every cell", transform=ax.transAxes, ha="center",
                fontsize=8, color=GREY)  # fmt: skip
    label_axes(ax, x=x, y=y)
    ax.set_title(title, fontsize=9, fontweight="bold", loc="left")
    ax.xaxis.label.set_fontsize(8.5)
    ax.yaxis.label.set_fontsize(8.5)
    ax.tick_params(labelsize=8)


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


def _heat(
    ax: Axes, key: str, title: str, *, rows: Sequence[Row], chosen: Cell | None,
    fewer_is_better: bool = False, percent: bool = False,
) -> None:  # fmt: skip
    levels, scales, values = table_of(rows, key)
    drawn = ax.imshow(values, cmap="cividis_r" if fewer_is_better else "cividis", aspect="auto")
    ax.set_xticks(range(len(scales)), [scale_word(s) for s in scales], fontsize=8)
    ax.set_yticks(range(len(levels)), [str(n) for n in levels], fontsize=8)
    ax.set_xlabel("regressor scale $s_R$", fontsize=8.5)
    ax.set_ylabel("noise level NL", fontsize=8.5)
    ax.set_title(title, fontsize=9, fontweight="bold", loc="left")
    low, high = drawn.get_clim()
    for (i, j), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.text(j, i, "–", ha="center", va="center")
            continue
        red, green, blue, _ = drawn.cmap(drawn.norm(value)) if high > low else (1, 1, 1, 1)
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        ax.text(j, i, f"{value:.2%}" if percent else f"{value:.3f}", ha="center", va="center",
                fontsize=8, color="white" if dark else BLACK)  # fmt: skip
    for cell, inset, line in ((chosen, 0.03, "-"), (PAPERS, 0.09, "--")):
        if cell is not None and cell[0] in levels and cell[1] in scales:
            corner = scales.index(cell[1]) - 0.5 + inset, levels.index(cell[0]) - 0.5 + inset
            ax.add_patch(Rectangle(corner, 1 - 2 * inset, 1 - 2 * inset, fill=False,
                                   edgecolor=VERMILION, linewidth=2, linestyle=line))  # fmt: skip


def _sizes(ax: Axes, rows: Sequence[Row]) -> None:
    """Share of the requested size change that the generated images show, by scale."""
    levels, scales, shares = table_of(rows, "requested_share")
    for i, level in enumerate(levels):
        ax.plot(scales, shares[i], marker=MARKERS[i % len(MARKERS)], markersize=5,
                color=CYCLE[i % len(CYCLE)], label=f"NL = {level}")  # fmt: skip
    ax.axhline(1.0, color=BLACK, linestyle="--", linewidth=1)
    ax.axhline(0.0, color=BLACK, linestyle=":", linewidth=1)
    if min(scales, default=0) > 0:
        ax.set_xscale("log")
    ax.set_xticks(scales, [scale_word(s) for s in scales])
    ax.minorticks_off()
    _label(ax, x="regressor scale $s_R$", y="share of the requested change, median",
           title="Achieved share of the size change")  # fmt: skip
    ax.legend(fontsize=7, frameon=False)


def _response(ax: Axes, scores: GridScores) -> None:
    """Requested against achieved size of two cells: chosen, and highest NL and scale."""
    cells = sorted({(int(r["noise_level"]), float(r["scale"])) for r in scores.pairs})
    marked = dict.fromkeys([*([scores.chosen] if scores.chosen in cells else []), *cells[-1:]])
    reach = [1.0]
    for (nl, scale), colour, marker in zip(marked, (BLUE, GREY), "os", strict=False):
        known = [(r["ratio_requested"], r["ratio_achieved"]) for r in scores.pairs
                 if (int(r["noise_level"]), float(r["scale"])) == (nl, scale)
                 and r.get("ratio_achieved") is not None]  # fmt: skip
        if known:
            x, y = zip(*known, strict=True)
            reach += [*x, *y]
            word = "choice: " if (nl, scale) == scores.chosen else ""
            ax.plot(x, y, marker, color=colour, markersize=4, alpha=0.8,
                    label=f"{word}NL {nl}, $s_R$ {scale_word(scale)}")  # fmt: skip
    ends = [0.0, 1.05 * min(max(reach), 4.0)]
    ax.plot(ends, ends, ":", color=BLACK, linewidth=1)
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    _label(ax, x="requested size / initial size", y="achieved size / initial, on FLAIR",
           title="Requested against achieved")  # fmt: skip
    if len(reach) > 1:
        ax.legend(fontsize=7, frameon=False)


def _front(ax: Axes, scores: GridScores) -> None:
    """Size error against SSIM outside of every cell, with the Pareto front and the chosen cell."""
    levels = sorted({nl for nl, _ in scores.size_error})
    for cell, error in scores.size_error.items():
        i, kept = levels.index(cell[0]), scores.ssim_outside[cell]
        ax.plot(error, kept, MARKERS[i % len(MARKERS)], color=CYCLE[i % len(CYCLE)], markersize=5,
                alpha=1.0 if cell in scores.front else 0.45)  # fmt: skip
        ax.annotate(scale_word(cell[1]), (error, kept), fontsize=6.5, color=GREY,
                    textcoords="offset points", xytext=(4, 3))  # fmt: skip
    joined = [(scores.size_error[c], scores.ssim_outside[c]) for c in scores.front]
    if joined:
        ax.plot(*zip(*joined, strict=True), "-", color=GREY, linewidth=1, zorder=0)
    if scores.chosen in scores.size_error and scores.chosen is not None:
        ax.plot(scores.size_error[scores.chosen], scores.ssim_outside[scores.chosen], "o",
                markersize=12, fillstyle="none", color=VERMILION, markeredgewidth=1.8)  # fmt: skip
    _label(ax, x="size error, median |achieved / requested - 1|", y="SSIM outside",
           title="Pareto front (labels: $s_R$)")  # fmt: skip


def _trends(ax: Axes, trends: Sequence[Row]) -> None:
    """Rank correlations with intervals over all cells, and grey marks for single levels."""
    names: list[str] = []
    for (outcome, factor), name in ARROWS.items():
        mine = [t for t in trends if (t["outcome"], t["factor"]) == (outcome, factor)
                and t.get("rank") is not None]  # fmt: skip
        if not mine:
            continue
        y = len(names)
        names.append(name)
        for t in mine:
            if t["at"] != "all":
                ax.plot(t["rank"], y + 0.25, "|", color=GREY, markersize=7)
                continue
            colour = BLUE if t["verdict"] == "holds" else VERMILION
            ax.plot(t["rank"], y, "o", color=colour, markersize=5)
            if t.get("rank_low") is not None:
                ax.plot([t["rank_low"], t["rank_high"]], [y, y], "-", color=colour, linewidth=1.8)
    if names:
        ax.axvline(0, color=BLACK, linestyle=":", linewidth=1)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(-1.05, 1.05)
    _label(ax, x="rank correlation within slices", y="", title="Trends (blue: confirmed)")

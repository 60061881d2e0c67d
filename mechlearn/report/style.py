"""The style of all figures: sizes, and the colours of Okabe and Ito (2008).

Colour-blind readers can distinguish these colours. Figures use the object interface on the Agg
canvas, not pyplot or other global state, so several threads can draw.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from mechlearn.files import write_bytes

__all__ = [
    "BLACK",
    "BLUE",
    "CYCLE",
    "GREEN",
    "GREY",
    "METHOD_COLOURS",
    "ORANGE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "YELLOW",
    "label_axes",
    "new_figure",
    "png",
    "save",
    "stacked",
    "svg",
]

MATH = "$s_R$"  # the one formula in labels, the regressor scale
BLACK, GREY, GRID = "#1a1a1a", "#767676", "#e6e6e6"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

METHOD_COLOURS = {
    "no_change": GREY,
    "dilation_true": YELLOW,
    "dilation_forecast": ORANGE,
    "heat_kernel": PURPLE,
    "growth_order_true": GREEN,
    "growth_order_forecast": VERMILION,
    "static": SKY,
    "dynamic": BLUE,
}


INK = (  # colours of an SVG: light ink on a dark screen, dark ink in print
    "svg { --ink: #1a1a1a; --grid: #e6e6e6; fill: var(--ink) } "
    "@media screen and (prefers-color-scheme: dark) "
    "{ svg { --ink: #ececec; --grid: #3a3d40 } }"
)
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)  # colours of series in order


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure on the Agg canvas; sizes in inches, 150 dots per inch."""
    figure = Figure(figsize=(width_in, height_in), dpi=150, layout="constrained",
                    facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def stacked(figure: Figure, upper: float, lower: float) -> tuple[SubFigure, SubFigure]:
    """Two parts of a figure above each other, with heights in this ratio."""
    parts = np.asarray(figure.subfigures(2, 1, height_ratios=[upper, lower]), object)
    return parts[0], parts[1]


def label_axes(ax: Axes, *, x: str, y: str, title: str = "") -> None:
    """Axis labels with their units, a light frame, and a title set left."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if title:
        ax.set_title(title, loc="left", fontsize=10, fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)


def _plain_words(figure: Figure) -> None:
    for text in figure.findobj(Text):
        text.set_parse_math(MATH in text.get_text())  # names of patients are not formulas


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes without time stamps; equal figures give equal bytes."""
    _plain_words(figure)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Software": None}}
    figure.savefig(buffer, format="png", **options)
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as SVG for a page: black lines and text are light in dark mode.

    Backgrounds are transparent. Equal figures give equal bytes.
    """
    _plain_words(figure)
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = re.sub(f"(fill|stroke): (?:#000000|{BLACK})", r"\1: var(--ink)", text)
    text = text.replace(GRID, "var(--grid)")
    random = re.findall(r'\bid="((?:image|[mpCh])[0-9a-f_]{9,})"', text)
    for k, name in enumerate(dict.fromkeys(random)):
        text = text.replace(name, f"i{k}")
    return text.replace("<defs>", f"<style>{INK}</style><defs>", 1).encode()


def save(figure: Figure, path: str | Path) -> Path:
    """Write the figure as a PNG, atomically."""
    return write_bytes(path, png(figure))

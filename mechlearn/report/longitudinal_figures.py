"""Figures of longitudinal validation: overlap and distance, size forecasts, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechlearn.report.style import (
    BLACK,
    BLUE,
    GREY,
    METHOD_COLOURS,
    VERMILION,
    label_axes,
    new_figure,
)

__all__ = ["METHOD_NAMES", "forecast_scores_figure", "longitudinal_figure"]

METHOD_NAMES = {
    "no_change": "no change",
    "dilation_forecast": "dilation to\nforecast size",
    "dilation_true": "dilation to\ntrue size",
    "heat_kernel": "heat kernel,\nforecast size",
    "growth_order_forecast": "growth order\nto forecast size",
    "growth_order_true": "growth order\nto true size",
    "static": "static map\n(true size)",
    "dynamic": "dynamic map\n(forecast)",
}
Row = Mapping[str, Any]


def longitudinal_figure(rows: Sequence[Row], *, include_initial: bool = True) -> Figure:
    """HD95 and Dice to the true follow-up mask as box plots, one box a method.

    Args:
        rows: one a slice, with `hd95_<method>_mm` and `dice_<method>`; keys of growth maps
            without the initial mask have `_alone` before the unit.
        include_initial: whether growth maps include the initial mask.
    """
    figure = new_figure(12, 4.6)
    left, right = figure.subplots(1, 2)
    infix = "" if include_initial else "_alone"
    _boxes(left, rows, "hd95_{}" + infix + "_mm", "HD95 to the true follow-up (mm)", "Distance")
    _boxes(right, rows, "dice_{}" + infix, "Dice with the true follow-up", "Overlap")
    return figure


def _boxes(ax: Axes, rows: Sequence[Row], pattern: str, label: str, title: str) -> None:
    methods = [m for m in METHOD_NAMES if any(_key(pattern, m, r) in r for r in rows)]
    rng = np.random.default_rng(0)  # horizontal offsets of the points, without meaning
    ticks = []
    for i, method in enumerate(methods):
        values = [r.get(_key(pattern, method, r)) for r in rows]
        known = np.array([v for v in values if v is not None], float)
        undefined = len(values) - known.size
        ticks.append(METHOD_NAMES[method] + (f"\n({undefined} undefined)" if undefined else ""))
        if known.size:
            ax.boxplot([known], positions=[i], widths=0.55, showfliers=False, patch_artist=True,
                       boxprops={"facecolor": METHOD_COLOURS[method], "alpha": 0.55},
                       medianprops={"color": BLACK, "linewidth": 1.6})
            ax.plot(i + rng.uniform(-0.16, 0.16, known.size), known, "o", color=BLACK,
                    markersize=2.6, alpha=0.55)
    ax.set_xticks(range(len(methods)), ticks, fontsize=8)
    label_axes(ax, x="", y=label, title=f"{title}, {len(rows)} slices")


def _key(pattern: str, method: str, row: Row) -> str:
    """The key of a method; baselines have no `_alone` variant."""
    key = pattern.format(method)
    return key if key in row else key.replace("_alone", "")


def forecast_scores_figure(rows: Sequence[Row], reliability: np.ndarray | None = None) -> Figure:
    """Forecast against true area with 95% intervals; reliability of the growth map.

    Args:
        rows: one a slice: `area_true_mm2`, `forecast_median_mm2`, `forecast_low_mm2`,
            `forecast_high_mm2`, `area_last_mm2`.
        reliability: (bins, 3): mean probability, observed frequency, number of pixels.
    """
    figure = new_figure(10, 4.4)
    left, right = figure.subplots(1, 2)
    done = [r for r in rows if r.get("forecast_median_mm2") is not None]
    true, median, low, high, last = (
        np.array([r[k] for r in done], float) for k in (
            "area_true_mm2", "forecast_median_mm2", "forecast_low_mm2", "forecast_high_mm2",
            "area_last_mm2"))
    if done:
        left.errorbar(true, median, yerr=np.maximum([median - low, high - median], 0), fmt="o",
                      color=BLUE, ecolor=GREY, markersize=4, elinewidth=0.8,
                      label="forecast, 95% interval")
        left.plot(true, last, "x", color=VERMILION, markersize=5, label="last area carried forward")
        reach = [0.0, 1.1 * float(max(true.max(), median.max()))]
        left.plot(reach, reach, ":", color=BLACK)
        left.set_ylim(0, 1.25 * reach[1])
        left.legend(fontsize=8, frameon=False)
    label_axes(left, x="true tumour area (mm²)", y="forecast tumour area (mm²)",
               title=f"How much, {len(done)} slices")
    right.plot([0, 1], [0, 1], ":", color=BLACK)
    if reliability is not None and reliability.size:
        used = reliability[reliability[:, 2] > 0]
        right.plot(used[:, 0], used[:, 1], "o-", color=BLUE)
        for x, y, n in used:
            right.annotate(f"{int(n)}", (x, y), fontsize=7, xytext=(4, -9),
                           textcoords="offset points", color=GREY)
    label_axes(right, x="predicted probability of growth", y="observed frequency",
               title="Calibration outside the initial mask (pixels)")
    return figure

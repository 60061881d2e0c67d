"""Timeline of a whole tumour: fan chart of the volume, and a strip of visits and treatments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechlearn.records import Counterfactual, SizeForecast, SizeReading, SizeSeries
from mechlearn.report.fan import RT_DAYS, draw_fan
from mechlearn.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    GRID,
    ORANGE,
    PURPLE,
    label_axes,
    new_figure,
)

__all__ = ["ML", "timeline_figure"]

ML = 1000.0  # mm3
COLOURS = {"chemotherapy": PURPLE, "immunotherapy": GREEN, "surgery": BLACK, "other": GREY}
LEFT_OUT = 1.0  # earliest drawn treatment before the first visit, as a share of the days shown


def timeline_figure(
    series: SizeSeries, sizes: Sequence[SizeForecast], *, truth: SizeReading | None = None,
    what_if: Counterfactual | None = None,
) -> Figure:
    """Volume over days in ml above, visits and treatments as a strip below.

    Args:
        series: measured volumes in mm3, with courses and treatments.
        sizes: forecasts by day; the last is drawn as curves, the others as bars.
        truth: the held-out visit.
        what_if: counterfactual of the last forecast.
    """
    lanes = _lanes(series)
    figure = new_figure(9.0, 4.4 + 0.28 * len(lanes))
    axes = figure.subplots(2, 1, sharex=True, height_ratios=[4.2, 0.35 + 0.32 * len(lanes)])
    upper, lower = axes
    readings = tuple(replace(v, size=v.size / ML) for v in series.visits)
    known = None if truth is None else replace(truth, size=truth.size / ML)
    other = None if what_if is None else replace(what_if, forecast=_in_ml(what_if.forecast))
    draw_fan(upper, replace(series, visits=readings), _in_ml(sizes[-1]), known, what_if=other)
    for size in sizes[:-1]:
        low, high = size.interval(0.95)
        upper.errorbar([size.day], [size.median / ML],
                       [[(size.median - low) / ML], [(high - size.median) / ML]],
                       fmt="s", color=BLUE, capsize=4, markersize=5)  # fmt: skip
    label_axes(upper, x="", y="tumour volume (ml)")
    _strip(lower, series, sizes, lanes)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=5)
    return figure


def _in_ml(size: SizeForecast) -> SizeForecast:
    return replace(size, samples=size.samples / ML, curves=size.curves / ML)


def _lanes(series: SizeSeries) -> list[str]:
    kinds = dict.fromkeys(t.kind for t in series.treatments)
    return ["visits", *(["radiotherapy"] if series.courses else []), *kinds]


def _strip(
    ax: Axes, series: SizeSeries, sizes: Sequence[SizeForecast], lanes: Sequence[str]
) -> None:
    first, last = series.visits[0].day, sizes[-1].day
    span = max(last - first, 1.0)
    ax.plot(series.days, np.zeros(len(series.visits)), "o", color=BLACK, markersize=6)
    days = [size.day for size in sizes]
    ax.plot(days, np.zeros(len(days)), "D", color=BLUE, markersize=6)
    for k, rt in enumerate(series.courses):
        end = rt.end_day if rt.end_day is not None else rt.start_day + RT_DAYS
        dose = "" if rt.dose_gy is None else f"{rt.dose_gy:g} Gy"
        _bar(ax, lanes.index("radiotherapy"), rt.start_day, end, ORANGE, dose or f"course {k + 1}")
    for treatment in series.treatments:
        end = treatment.end_day if treatment.end_day is not None else treatment.start_day
        _bar(ax, lanes.index(treatment.kind), treatment.start_day, end,
             COLOURS.get(treatment.kind, GREY), "")  # fmt: skip
    ax.set_yticks(range(len(lanes)), lanes, fontsize=9)
    ax.set_ylim(len(lanes) - 0.4, -0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.set_xlabel("days since the first visit")
    earliest = min([first, *(c.start_day for c in series.courses),
                    *(t.start_day for t in series.treatments)])  # fmt: skip
    begin = max(earliest, first - LEFT_OUT * span)
    ax.set_xlim(begin - 0.03 * (last - begin), last + 0.05 * (last - begin))


def _bar(ax: Axes, lane: int, start: float, end: float, colour: str, words: str) -> None:
    ax.plot([start, end], [lane, lane], color=colour, linewidth=9, solid_capstyle="butt")
    ax.plot([start], [lane], "|", color=colour, markersize=12, markeredgewidth=2)
    if words:
        ax.text(start, lane, f" {words}", fontsize=8, va="center", clip_on=True)

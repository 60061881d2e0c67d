"""A fan of growth curves: what was measured, what may come."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from mechlearn.records import GrowthForecast, Timeline, Visit
from mechlearn.report.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILION

__all__ = ["SIZES", "draw_fan"]

RT_DAYS = 42.0  # width of the band where a course's end is not known
SIZES = {"mm2": ("area", "mm²"), "mm3": ("volume", "mm³")}  # what a unit measures, as it is printed


def draw_fan(
    ax: Axes, timeline: Timeline, forecast: GrowthForecast, truth: Visit | None = None,
    *, small: bool = False,
) -> None:
    """Sizes over days: visits, curves, their median and 95% band, RT, the held-out visit.

    Args:
        ax: receives the drawing; labels, title and legend are the caller's.
        timeline: the visits that were fitted, with radiotherapy.
        forecast: the curves.
        truth: the visit that was not used.
        small: of a sheet of many: smaller marks.
    """
    days, curves = forecast.curve_days, forecast.curves_mm2
    ax.plot(days, curves.T, color=GREY, alpha=0.13, linewidth=0.5 if small else 0.7)
    low, median, high = np.percentile(curves, [2.5, 50, 97.5], axis=0)
    ax.fill_between(days, low, high, color=SKY, alpha=0.3, linewidth=0, label="95% interval")
    ax.plot(days, median, color=BLUE, linewidth=1.6 if small else 2,
            label=f"median ({forecast.law})")
    for number, rt in enumerate(timeline.courses):
        end = rt.end_day if rt.end_day is not None else rt.start_day + RT_DAYS
        ax.axvspan(rt.start_day, end, color=ORANGE, alpha=0.18, linewidth=0,
                   label="" if number else "radiotherapy")
    ax.plot(timeline.days, timeline.areas_mm2, "o", color=BLACK, markersize=4.5 if small else 6,
            zorder=5, label="visits used")
    if truth is not None:
        ax.plot(truth.day, truth.area_mm2, "D", color=VERMILION, markersize=6 if small else 8,
                zorder=6, label="true follow-up (not used)")
    ax.axvline(forecast.day, color=BLUE, linestyle=":", linewidth=1)
    ax.set_ylim(0, _top(timeline, median, high, truth))


def _top(timeline: Timeline, median: np.ndarray, high: np.ndarray, truth: Visit | None) -> float:
    """As far up as the band reaches, unless it is wild: the measurements stay in sight."""
    known = max(float(timeline.areas_mm2.max()), truth.area_mm2 if truth is not None else 0.0)
    sane = 3 * max(known, float(median.max()))
    return 1.06 * max(min(max(known, float(high.max())), sane), 1e-6)

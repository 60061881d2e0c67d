"""Fan chart: measured sizes, forecast curves, their median and 95% band."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes

from mechlearn.growth.growth_spec import LEARNED
from mechlearn.records import Counterfactual, SizeForecast, SizeReading, SizeSeries
from mechlearn.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION

__all__ = ["NOT_EVIDENCE", "SIZES", "draw_fan"]

RT_DAYS = 42.0  # assumed length of a course of radiotherapy without an end
SIZES = {"mm2": ("area", "mm²"), "mm3": ("volume", "mm³")}  # unit -> quantity, printed unit
NOT_EVIDENCE = "computed from the fitted growth model; not evidence of what treatment would do"
LEGEND = 54  # maximum characters of a line of the legend
SMOOTHED = 1 / 24  # half the width of the running mean, as a share of the days shown


def draw_fan(
    ax: Axes, timeline: SizeSeries, forecast: SizeForecast, truth: SizeReading | None = None,
    *, what_if: Counterfactual | None = None, small: bool = False,
) -> None:
    """Sizes over days: visits, curves, their median and 95% band, RT, the held-out visit.

    Curves with a population prior are a growth model plus a random walk. Their median and band
    are smoothed over the days, except on the last day.

    Args:
        ax: axes without labels, title and legend.
        timeline: the visits that were fitted, with radiotherapy.
        forecast: the curves.
        truth: the held-out visit.
        what_if: counterfactual, drawn from the first day on which the courses differ.
        small: smaller marks, for a figure with many charts.
    """
    days = forecast.curve_days
    low, median, high = _quantiles(forecast)
    ax.fill_between(days, low, high, color=SKY, alpha=0.3, linewidth=0, label="95% interval")
    if forecast.law == LEARNED:  # its curves are quantiles already
        lower, upper = np.percentile(forecast.curves, [25, 75], axis=0)
        ax.fill_between(days, lower, upper, color=BLUE, alpha=0.22, linewidth=0,
                        label="50% interval")  # fmt: skip
    else:
        ax.plot(days, forecast.curves.T, color=GREY, alpha=0.13, linewidth=0.5 if small else 0.7)
    ax.plot(days, median, color=BLUE, linewidth=1.6 if small else 2,
            label=f"median ({forecast.law})")
    top = _top(timeline, median, high, truth)
    for number, rt in enumerate(timeline.courses):
        end = rt.end_day if rt.end_day is not None else rt.start_day + RT_DAYS
        ax.axvspan(rt.start_day, end, color=ORANGE, alpha=0.18, linewidth=0,
                   label="" if number else "radiotherapy")
    ax.plot(timeline.days, timeline.sizes, "o", color=BLACK, markersize=4.5 if small else 6,
            zorder=5, label="visits used")
    if truth is not None:
        ax.plot(truth.day, truth.size, "D", color=VERMILION, markersize=6 if small else 8,
                zorder=6, label="true follow-up (not used)")
    if what_if is not None:
        high = np.maximum(high, _draw_other(ax, forecast, what_if))
        top = max(top, _top(timeline, median, high, truth))
    ax.axvline(forecast.day, color=BLUE, linestyle=":", linewidth=1)
    ax.set_ylim(0, top)
    if high.max() > top and not small:
        ax.text(0.02, 0.97, "▲ 95% interval leaves the chart", transform=ax.transAxes,
                va="top", fontsize=8, zorder=7)


def _draw_other(ax: Axes, forecast: SizeForecast, what_if: Counterfactual) -> np.ndarray:
    """Draw median and band of a counterfactual. Returns the band's upper edge, (T,)."""
    other, days = what_if.forecast, forecast.curve_days
    low, median, high = _quantiles(other)
    differs = (other.curves != forecast.curves).any(axis=0)
    if differs.any():
        after = slice(max(int(differs.argmax()) - 1, 0), None)
        days, low, median, high = days[after], low[after], median[after], high[after]
    ax.fill_between(days, low, high, color=GREEN, alpha=0.18, linewidth=0)
    words = [*textwrap.wrap(f"what if: {what_if.change}", LEGEND),
             *textwrap.wrap(f"({NOT_EVIDENCE})", LEGEND)]  # fmt: skip
    ax.plot(days, median, color=GREEN, linewidth=2, linestyle=(0, (4, 1.5)),
            label="\n".join(words))
    return np.asarray(_quantiles(other)[2])


def _quantiles(forecast: SizeForecast) -> np.ndarray:
    """2.5, 50 and 97.5 percentiles of the curves, (3, T)."""
    found = np.percentile(forecast.curves, [2.5, 50, 97.5], axis=0)
    walks = forecast.population and forecast.law != LEARNED
    return np.array([_smooth(line) for line in found]) if walks else found


def _smooth(line: np.ndarray) -> np.ndarray:
    """Running mean of a (T,) line. The window narrows to one value at both ends."""
    last, half = line.size - 1, round(SMOOTHED * line.size)
    reach = [min(half, i, last - i) for i in range(line.size)]
    return np.array([line[i - r : i + r + 1].mean() for i, r in enumerate(reach)])


def _top(
    timeline: SizeSeries, median: np.ndarray, high: np.ndarray, truth: SizeReading | None
) -> float:
    """Upper limit of the axis: the band, but at most 3 times the largest measurement or median."""
    known = max(float(timeline.sizes.max()), truth.size if truth is not None else 0.0)
    sane = 3 * max(known, float(median.max()))
    return 1.06 * max(min(max(known, float(high.max())), sane), 1e-6)

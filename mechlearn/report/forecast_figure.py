"""Figures of the forecast of one slice: fan chart of areas, scans, growth map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from mechlearn.records import (
    AxialSlice,
    Counterfactual,
    Generation,
    GrowthMap,
    SizeForecast,
    SizeReading,
    SizeSeries,
)
from mechlearn.report.fan import draw_fan
from mechlearn.report.slice_pictures import (
    Window,
    brain_window,
    contour,
    flair,
    overlay,
    show,
    side_letters,
)
from mechlearn.report.style import SKY, YELLOW, label_axes, new_figure, stacked

__all__ = ["fan_figure", "forecast_figure", "map_figure", "scan_figure"]

COLUMNS = 5
WIDTH = 13.0  # inches


def forecast_figure(
    *,
    timeline: SizeSeries,
    forecast: SizeForecast,
    reference: AxialSlice,
    generations: Sequence[Generation],
    growth_map: GrowthMap,
    follow_up: AxialSlice | None = None,
    what_if: Counterfactual | None = None,
) -> Figure:
    """Fan chart, scans, differences and growth map of one slice in one figure.

    Args:
        timeline: the visits that were fitted, with radiotherapy.
        forecast: size forecast from which the targets come.
        reference: the last scan, from which the generations start.
        generations: guided samples; the smallest, the middle and the largest target are drawn.
        growth_map: growth map of the same slice.
        follow_up: the true scan, if there is one; it was not fitted.
        what_if: counterfactual sizes; scans and map are of the factual forecast.
    """
    figure = new_figure(WIDTH, 9.8)
    top, below = stacked(figure, 1.1, 1.45)
    axes = top.subplots(1, 2, width_ratios=[1.9, 1.0])
    _fan(axes[0], timeline, forecast, _truth(follow_up), what_if)
    _map(axes[1], reference, growth_map, follow_up, figure)
    _scans(below, reference, generations, follow_up)
    figure.suptitle(f"{forecast.name}: day {forecast.day:g}", fontsize=12, fontweight="bold")
    return figure


def fan_figure(timeline: SizeSeries, forecast: SizeForecast, *, truth: SizeReading | None = None,
               what_if: Counterfactual | None = None) -> Figure:
    """Tumour area over days: visits, curves, median, 95% band, RT, truth, counterfactual."""
    figure = new_figure(7.2, 4.4)
    _fan(figure.subplots(), timeline, forecast, truth, what_if)
    return figure


def map_figure(
    reference: AxialSlice, growth_map: GrowthMap, *, follow_up: AxialSlice | None = None
) -> Figure:
    """The growth map over the last scan, with outlines of the initial and the true tumour."""
    figure = new_figure(6.0, 6.2)
    _map(figure.subplots(), reference, growth_map, follow_up, figure)
    return figure


def scan_figure(
    reference: AxialSlice,
    generations: Sequence[Generation],
    *,
    follow_up: AxialSlice | None = None,
) -> Figure:
    """Last scan, generations with their differences from it, and the true scan if there is one."""
    figure = new_figure(WIDTH, 5.6)
    _scans(figure, reference, generations, follow_up)
    return figure


def _truth(follow_up: AxialSlice | None) -> SizeReading | None:
    if follow_up is None:
        return None
    return SizeReading(follow_up.day, follow_up.tumour_area_mm2, follow_up.session)


def _fan(ax: Axes, timeline: SizeSeries, forecast: SizeForecast, truth: SizeReading | None,
         what_if: Counterfactual | None) -> None:
    draw_fan(ax, timeline, forecast, truth, what_if=what_if)
    low, high = forecast.interval()
    words = f"{forecast.median:.0f} mm² ({low:.0f} to {high:.0f})"
    label_axes(ax, x="days since the first visit", y="tumour area in this slice (mm²)",
               title=f"How much on day {forecast.day:g}: {words}")
    # Below the chart, because inside it the legend hides curves.
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0),
              borderaxespad=4.5, ncols=3, columnspacing=1.4)


def _map(ax: Axes, reference: AxialSlice, growth_map: GrowthMap, follow_up: AxialSlice | None,
         figure: Figure) -> None:
    window = brain_window(reference.brain)
    show(ax, flair(reference.image, reference.contrasts), window=window)
    drawn = overlay(ax, growth_map.probability, window=window)
    contour(ax, reference.tumour, colour=SKY, window=window)
    lines = [Line2D([], [], color=SKY, label=f"tumour on day {reference.day:g}")]
    if follow_up is not None:
        contour(ax, follow_up.tumour, colour=YELLOW, window=window, dashed=True)
        lines.append(Line2D([], [], color=YELLOW, linestyle="--",
                            label=f"true tumour on day {follow_up.day:g}"))
    side_letters(ax)
    bar = figure.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02)
    bar.set_label("probability of growth")
    ax.set_title(f"Where: {growth_map.kind} map of {growth_map.n_generations} generations",
                 loc="left", fontsize=10, fontweight="bold")
    ax.legend(handles=lines, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2,
              facecolor="#4d4d4d", labelcolor="white", edgecolor="none")


def chosen(generations: Sequence[Generation]) -> list[tuple[str, Generation]]:
    """The generations of the smallest, the middle and the largest target, with their names."""
    ranked = sorted(generations, key=lambda g: g.target.tumour_fraction)
    if len(ranked) < 3:
        return [("target", g) for g in ranked]
    return [("low", ranked[0]), ("median", ranked[len(ranked) // 2]), ("high", ranked[-1])]


def _scans(figure: Figure | SubFigure, reference: AxialSlice, generations: Sequence[Generation],
           follow_up: AxialSlice | None) -> None:
    axes = figure.subplots(2, COLUMNS)
    for ax in axes.flat:
        ax.set_axis_off()
    window = brain_window(reference.brain)
    start = flair(reference.image, reference.contrasts)
    show(axes[0, 0], start, window=window, title=f"last scan, day {reference.day:g}\n"
         f"{reference.tumour_area_mm2:.0f} mm²")
    contour(axes[0, 0], reference.tumour, colour=SKY, window=window)
    drawn = None
    for column, (name, generation) in enumerate(chosen(generations), start=1):
        plane = flair(generation.image.numpy(), reference.contrasts)
        area = generation.target.tumour_fraction * reference.brain_area_mm2
        show(axes[0, column], plane, window=window,
             title=f"generated, {name}\ntarget {area:.0f} mm²")
        drawn = _difference(axes[1, column], plane - start, window)
    if follow_up is not None:
        plane = flair(follow_up.image, follow_up.contrasts)
        show(axes[0, -1], plane, window=window, title=f"true scan, day {follow_up.day:g}\n"
             f"{follow_up.tumour_area_mm2:.0f} mm²")
        contour(axes[0, -1], follow_up.tumour, colour=YELLOW, window=window, dashed=True)
        drawn = _difference(axes[1, -1], plane - start, window)
    if drawn is not None:
        bar = figure.colorbar(drawn, ax=axes[1, 0], fraction=0.4, location="left", aspect=12)
        bar.set_label("FLAIR change against the last scan\n(of a range of [-1, 1])", fontsize=8)


def _difference(ax: Axes, change: np.ndarray, window: Window) -> AxesImage:
    return show(ax, change, window=window, limits=(-1.0, 1.0), colours="RdBu_r")

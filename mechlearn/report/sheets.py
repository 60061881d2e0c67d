"""Sections of a page that show one forecast slice in words, a table and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mechlearn.records import AxialSlice, Generation, GrowthForecast, GrowthMap, Timeline, Visit
from mechlearn.report.forecast import fan_figure, map_figure, scan_figure
from mechlearn.report.longitudinal import METHOD_NAMES
from mechlearn.report.page import Picture, Section, Table
from mechlearn.report.style import png

__all__ = ["slice_section"]


def slice_section(
    *,
    timeline: Timeline,
    forecast: GrowthForecast,
    reference: AxialSlice,
    generations: Sequence[Generation],
    growth_map: GrowthMap,
    follow_up: AxialSlice | None = None,
    comparison: Sequence[Mapping[str, Any]] = (),
) -> Section:
    """What one slice's forecast says, with the baselines beside it.

    Args:
        comparison: one row a method: `method`, `area_mm2`, `hd95_mm`, `dice`, `brier`.
    """
    truth = None
    if follow_up is not None:
        truth = Visit(follow_up.day, follow_up.tumour_area_mm2, follow_up.session)
    tables = [_table(comparison, follow_up)] if comparison else []
    fan = fan_figure(timeline, forecast, truth=truth)
    where = map_figure(reference, growth_map, follow_up=follow_up)
    scans = scan_figure(reference, generations, follow_up=follow_up)
    words = _words(timeline, forecast, reference, follow_up)
    return Section(
        f"Slice {forecast.slice_id}",
        words,
        tables,
        [
            Picture(png(fan), "How much: tumour area by visit, the curves it may follow, their "
                    "median and 95% interval.", f"Fan chart. {words[0]}", 860),
            Picture(png(where), "Where: probability of growth over the last scan. Radiological "
                    "view: the patient's left is on the right.",
                    f"Growth probability map of slice {forecast.slice_id}", 560),
            Picture(png(scans), "Generated T2-FLAIR scans at a low, the middle and a high target, "
                    "with their differences from the last scan.",
                    f"Scans of slice {forecast.slice_id} and generated scans"),
        ],
    )  # fmt: skip


def _words(timeline: Timeline, forecast: GrowthForecast, reference: AxialSlice,
           follow_up: AxialSlice | None) -> list[str]:
    low, high = forecast.interval_mm2()
    words = [
        f"Last scan on day {reference.day:g}: {reference.tumour_area_mm2:.0f} mm². Forecast for "
        f"day {forecast.day:g} from {len(timeline.visits)} visits by the law {forecast.law}: "
        f"{forecast.median_mm2:.0f} mm², 95% interval {low:.0f} to {high:.0f} mm² "
        f"({_origin(forecast)})."
    ]
    if follow_up is not None:
        late = follow_up.day - forecast.day
        when = f", {late:g} days after the forecast day" if late > 0 else ""
        words.append(
            f"True scan on day {follow_up.day:g}{when}: {follow_up.tumour_area_mm2:.0f} mm². "
            "It was not used for the forecast."
        )
    return words


def _origin(forecast: GrowthForecast) -> str:
    """Where the distribution comes from."""
    count = forecast.samples_mm2.size
    if not forecast.population:
        return f"{count} bootstrap fits, {forecast.n_failed} failed"
    laws = ", ".join(f"{law} {share:.0%}" for law, share in forecast.weights.items())
    return f"{count} draws under the population {forecast.population}; laws: {laws}"


def _table(comparison: Sequence[Mapping[str, Any]], follow_up: AxialSlice | None) -> Table:
    keys = {"area_mm2": "area (mm²)"}
    if follow_up is not None:
        keys |= {"hd95_mm": "HD95 (mm)", "dice": "Dice", "brier": "Brier score"}
    rows = [
        [METHOD_NAMES.get(r["method"], r["method"]).replace("\n", " "), *(r.get(k) for k in keys)]
        for r in comparison
    ]
    against = f", against the true scan of day {follow_up.day:g}" if follow_up is not None else ""
    return Table(["method", *keys.values()], rows,
                 f"Growth map with the initial mask, and baselines{against}.")

"""Sections of the page of a slice forecast: overview of all slices, one section a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mechlearn.records import (
    AxialSlice,
    Counterfactual,
    Generation,
    GrowthMap,
    SizeForecast,
    SizeReading,
    SizeSeries,
)
from mechlearn.report.fan import NOT_EVIDENCE
from mechlearn.report.forecast_figure import fan_figure, map_figure, scan_figure
from mechlearn.report.longitudinal_figures import METHOD_NAMES
from mechlearn.report.page import Details, Picture, Section, Table, number
from mechlearn.report.style import svg

__all__ = ["overview_table", "slice_section"]

LINES = {  # heading of a line -> key of the value, or both keys of an interval
    "last scan (mm²)": ("area_last_mm2",),
    "forecast, median (mm²)": ("forecast_median_mm2",),
    "forecast, 95% interval (mm²)": ("forecast_low_mm2", "forecast_high_mm2"),
    "what if, median (mm²)": ("what_if_median_mm2",),
    "what if, 95% interval (mm²)": ("what_if_low_mm2", "what_if_high_mm2"),
    "true scan (mm²)": ("area_true_mm2",),
    "generated scan at the median, measured (mm²)": ("generated_mm2",),
    "SSIM outside the tumour, generated scan": ("ssim_outside",),
    "HD95 of the growth map (mm)": ("hd95_dynamic_mm",),
    "HD95 of no change (mm)": ("hd95_no_change_mm",),
    "HD95 of dilation to the forecast size (mm)": ("hd95_dilation_forecast_mm",),
    "HD95 of growth order to the forecast size (mm)": ("hd95_growth_order_forecast_mm",),
}


def overview_table(rows: Sequence[Mapping[str, Any]], *, what_if: str = "") -> Table:
    """One column a slice; lines without any value are left out.

    Args:
        rows: one a slice: `slice_id` and the keys of LINES.
        what_if: the change of a counterfactual, in words.
    """
    lines = [
        [name, *(_cell([row.get(key) for key in keys]) for row in rows)]
        for name, keys in LINES.items() if any(keys[0] in row for row in rows)
    ]  # fmt: skip
    words = f" What if: {what_if}; {NOT_EVIDENCE}." if what_if else ""
    heads = [str(row["slice_id"]).rsplit("/", 1)[-1] for row in rows]
    return Table(["", *heads], lines, f"One column a slice.{words}")


def _cell(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else " to ".join(number(v) for v in values)


def slice_section(
    *,
    timeline: SizeSeries,
    forecast: SizeForecast,
    reference: AxialSlice,
    generations: Sequence[Generation],
    growth_map: GrowthMap,
    follow_up: AxialSlice | None = None,
    what_if: Counterfactual | None = None,
    comparison: Sequence[Mapping[str, Any]] = (),
    identified: str = "",
) -> Section:
    """Section of one slice: sentences, figures, and the comparison with the baselines.

    Args:
        comparison: one row a method: `method`, `area_mm2`, `hd95_mm`, `dice`, `brier`.
        identified: text on the identifiability of each growth parameter, folded at first.
    """
    truth = None
    if follow_up is not None:
        truth = SizeReading(follow_up.day, follow_up.tumour_area_mm2, follow_up.session)
    tables = [_table(comparison, follow_up)] if comparison else []
    fan = fan_figure(timeline, forecast, truth=truth, what_if=what_if)
    where = map_figure(reference, growth_map, follow_up=follow_up)
    scans = scan_figure(reference, generations, follow_up=follow_up)
    words = _words(timeline, forecast, reference, follow_up)
    if what_if is not None:
        words.append(_what_if(what_if))
    smoothed = " Median and interval are smoothed over the days." if forecast.population else ""
    return Section(
        f"Slice {forecast.name}",
        words,
        tables,
        [
            Picture(svg(fan), "How much: tumour area by visit, the curves it may follow, their "
                    f"median and 95% interval.{smoothed}", f"Fan chart. {words[0]}", 860),
            Picture(svg(where), "Where: probability of growth over the last scan. Radiological "
                    "view: the patient's left is on the right.",
                    f"Growth probability map of slice {forecast.name}", 560),
            Picture(svg(scans), "Generated T2-FLAIR scans at a low, the middle and a high target, "
                    "with their differences from the last scan.",
                    f"Scans of slice {forecast.name} and generated scans"),
        ],
        [Details("Which parameters do these visits identify?", identified)] if identified else (),
    )  # fmt: skip


def _words(timeline: SizeSeries, forecast: SizeForecast, reference: AxialSlice,
           follow_up: AxialSlice | None) -> list[str]:
    low, high = forecast.interval()
    count = len(timeline.visits)
    words = [
        f"Last scan on day {reference.day:g}: {reference.tumour_area_mm2:.0f} mm². Forecast for "
        f"day {forecast.day:g} from {count} visit{'s' * (count > 1)}: {forecast.median:.0f} "
        f"mm², 95% interval {low:.0f} to {high:.0f} mm².",
    ]
    if follow_up is not None:
        late = follow_up.day - forecast.day
        when = f", {late:g} days after the forecast day" if late > 0 else ""
        words.append(
            f"True scan on day {follow_up.day:g}{when}: {follow_up.tumour_area_mm2:.0f} mm². "
            "It was not used for the forecast."
        )
    words += [_origin(forecast), forecast.guarantee]
    return words


def _origin(forecast: SizeForecast) -> str:
    """Source of the size forecast, in one sentence."""
    count = forecast.samples.size
    if not forecast.population:
        return f"Growth model {forecast.law}, {count} bootstrap fits, {forecast.n_failed} failed."
    laws = ", ".join(f"{law} {share:.0%}" for law, share in forecast.weights.items())
    return (f"Population {forecast.population}, {count} draws; growth models and their weights: "
            f"{laws}.")  # fmt: skip


def _what_if(other: Counterfactual) -> str:
    low, high = other.forecast.interval()
    unmoved = ""
    if other.unmoved:
        unmoved = f" {other.unmoved:.0%} of the draws are of growth models without radiotherapy."
    return (
        f"What if: {other.change}: {other.forecast.median:.0f} mm², 95% interval {low:.0f} to "
        f"{high:.0f} mm² on day {other.forecast.day:g} ({NOT_EVIDENCE}).{unmoved} Scans and map "
        "are those of the actual radiotherapy."
    )


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

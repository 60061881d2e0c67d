"""One page of a patient's forecast: how much, where, with what was used and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mechlearn.records import GrowthMap, SizeForecast, SizeSeries
from mechlearn.report.fan import draw_fan
from mechlearn.report.page import Picture, Section, Table, write_page
from mechlearn.report.style import label_axes, new_figure, png
from mechlearn.report.volume_figure import planes_figure

__all__ = ["fan_of_volumes", "forecast_sentences", "write_volume_page"]

ML = 1000.0  # mm3


def forecast_sentences(series: SizeSeries, size: SizeForecast) -> list[str]:
    """What the forecast says, and what its interval stands on."""
    last = series.visits[-1]
    low, high = size.interval(0.95)
    growth = float(size.survival(np.nextafter(last.size, np.inf)))
    visits = len(series.visits)
    return [
        f"On day {last.day:g} the tumour measured {last.size / ML:.1f} ml "
        f"({visits} visit{'s' if visits > 1 else ''} used).",
        f"On day {size.day:g} it is forecast to measure {size.median / ML:.1f} ml, with a 95% "
        f"interval of {low / ML:.1f} to {high / ML:.1f} ml.",
        f"The probability that it is larger than at the last visit is {growth:.0%}; the forecast "
        f"uses {size.population or 'this patient alone, without a prior'}.",
        size.guarantee,
    ]


def fan_of_volumes(series: SizeSeries, size: SizeForecast) -> Figure:
    """Measured volumes, forecast median and 95% band over days, radiotherapy shaded."""
    figure = new_figure(8.0, 4.2)
    ax = figure.subplots()
    readings = tuple(replace(v, size=v.size / ML) for v in series.visits)
    in_ml = replace(size, samples=size.samples / ML, curves=size.curves / ML)
    draw_fan(ax, replace(series, visits=readings), in_ml)
    label_axes(ax, x="days since the first visit", y="tumour volume (ml)")
    for treatment in series.treatments:
        ax.axvline(treatment.start_day, color="#767676", linestyle="--", linewidth=1)
        ax.annotate(treatment.kind, (treatment.start_day, 0.99), fontsize=8, rotation=90,
                    xycoords=("data", "axes fraction"), va="top", ha="right")  # fmt: skip
    figure.legend(fontsize=8, loc="outside lower center", ncols=5)
    return figure


def write_volume_page(
    path: str | Path,
    *,
    patient: str,
    series: SizeSeries,
    size: SizeForecast,
    growth_map: GrowthMap | None = None,
    scan: Mapping[str, np.ndarray] | None = None,
    present: np.ndarray | None = None,
    brain: np.ndarray | None = None,
    rows: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[str] = (),
    pictures: Sequence[Picture] = (),
    settings: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
) -> Path:
    """Write the page of a volume forecast; see `report.page.write_page`.

    Args:
        path: the HTML file.
        patient: its name.
        series, size: what was measured and what is forecast, in mm3.
        growth_map, scan, present, brain: of the last visit, (Z, H, W); scan by contrast.
        rows: quantity, value and unit of the table.
        warnings: sentences shown on top.
        pictures: further pictures, such as drawn scans.
        settings, commands: how the page is made again.
    """
    table = Table(
        ["quantity", "value", "unit"],
        [[row["quantity"], row["value"], row["unit"]] for row in rows],
        "Volumes are of the whole tumour: every label but a resection cavity.",
    )
    how_much = Picture(
        png(fan_of_volumes(series, size)),
        "Measured volumes and the forecast: median and 95% interval. The interval includes what "
        "the prior learned of other patients' changes between visits.",
        alt="Tumour volume over days with the forecast's median and interval",
    )
    sections = [
        Section("What the forecast says", forecast_sentences(series, size), warnings=warnings),
        Section("How much", tables=[table] if rows else [], pictures=[how_much]),
    ]
    if growth_map is not None and scan and present is not None and brain is not None:
        contrast = next((c for c in ("t2f", "t1c", "t2w", "t1n") if c in scan), next(iter(scan)))
        figure = planes_figure(
            scan[contrast], growth_map.probability, present, brain,
            spacing_mm=growth_map.spacing_mm, title=f"{patient}, {contrast}, day {size.day:g}",
        )  # fmt: skip
        where = Picture(
            png(figure),
            "Last scan and growth map in three planes through the largest cross-sections. The "
            "blue line is the tumour of the last visit; the patient's right is on the left.",
            alt="Growth probability over the last scan in three planes",
        )
        words = [
            "The probability of each voxel is the probability that the forecast volume reaches "
            "the volume at which the tumour is expected to arrive there."
        ]
        sections.append(Section("Where", words, pictures=[where]))
    if pictures:
        sections.append(Section("What it may look like", pictures=pictures))
    return write_page(
        path, title=f"{patient}: forecast for day {size.day:g}", sections=sections,
        settings=settings, commands=commands,
    )  # fmt: skip

"""The page of a patient's volume forecast: sizes, growth map, drawn scans, sources, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.records import Counterfactual, GrowthMap, SizeForecast, SizeReading, SizeSeries
from mechlearn.report.page import Picture, Section, Table, write_page
from mechlearn.report.style import svg
from mechlearn.report.timeline_figure import ML, timeline_figure
from mechlearn.report.viewer import CONTRAST_NAMES, FIRST, DrawnVolume, Viewer, make_viewer
from mechlearn.report.volume_figure import planes_figure

__all__ = ["CITATION", "ShownScan", "ShownWhatIf", "forecast_sentences", "write_volume_page"]

CITATION = (
    "Laslo D, Georgiou E, Linguraru MG, Rauschecker AM, Müller S, Jutzeler CR, Brüningk S. "
    "Mechanistic Learning with Guided Diffusion Models to Predict Spatio-Temporal Brain Tumor "
    "Growth. mechlearn is an independent implementation; cite it with its version."
)
VIEWER_CITATION = "The viewer is NiiVue (BSD 2-clause licence), inlined in this page."


@dataclass(frozen=True, eq=False)
class ShownScan:
    """The last scan: contrast -> (Z, H, W), tumour and brain bool, affine, its growth maps by day.

    drawn: drawn slices for the viewer. later: tumour of the visit on the last forecast day, which
    was not used.
    """

    volumes: Mapping[str, np.ndarray]
    present: np.ndarray
    brain: np.ndarray
    affine: np.ndarray
    growth_maps: Sequence[GrowthMap]
    drawn: Sequence[DrawnVolume] = ()
    later: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ShownWhatIf:
    """A counterfactual: change, volumes, growth model, growth map and pictures."""

    change: Counterfactual
    origin: str
    growth_map: GrowthMap | None = None
    pictures: Sequence[Picture] = field(default_factory=tuple)


def forecast_sentences(series: SizeSeries, sizes: Sequence[SizeForecast]) -> list[str]:
    """The forecast in three sentences, with the figures of each day."""
    last = series.visits[-1]
    count = len(series.visits)
    said = [_on_day(size) for size in sizes]
    rises = [f"{_rise(series, size):.0%} on day {size.day:g}" for size in sizes]
    return [
        f"On day {last.day:g} the tumour measured {last.size / ML:.1f} ml "
        f"({count} visit{'s' if count > 1 else ''} used).",
        f"It is forecast to measure {_joined(said)}.",
        f"The probability that it is larger than at the last visit is {_joined(rises)}.",
    ]


def _on_day(size: SizeForecast) -> str:
    low, high = size.interval(0.95)
    return (
        f"{size.median / ML:.1f} ml on day {size.day:g} (95% interval {low / ML:.1f} to "
        f"{high / ML:.1f} ml)"
    )


def _rise(series: SizeSeries, size: SizeForecast) -> float:
    """P(larger than at the last visit)."""
    return float(size.survival(np.nextafter(series.visits[-1].size, np.inf)))


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def write_volume_page(
    path: str | Path,
    *,
    patient: str,
    series: SizeSeries,
    sizes: Sequence[SizeForecast],
    rows: Sequence[Mapping[str, Any]] = (),
    scan: ShownScan | None = None,
    truth: SizeReading | None = None,
    what_if: ShownWhatIf | None = None,
    warnings: Sequence[str] = (),
    pictures: Sequence[Picture] = (),
    drawn_sizes: Sequence[Mapping[str, Any]] = (),
    made_with: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
) -> Path:
    """Write the page of a volume forecast; see `report.page.write_page`.

    Args:
        path: the HTML file.
        patient: name of the patient.
        series, sizes: measured and forecast volumes in mm3, one forecast a day.
        rows: one a day: `day` and figures by their column.
        scan: the last visit with its growth maps, one a day; None if only sizes are known.
        truth: the held-out visit.
        what_if: counterfactual of the last day.
        warnings: sentences on top of the page.
        pictures: drawn scans.
        drawn_sizes: one row a drawn slice: z, quantile, last_mm2, asked_mm2, achieved_mm2,
            segmenter_mm2, verdict.
        made_with: part -> sentence: prior, weights and their training data.
        settings, commands: settings, and command lines that write the page again.
    """
    days = _joined([f"{size.day:g}" for size in sizes])
    sections: list[Section | None] = [
        Section("What the forecast says", forecast_sentences(series, sizes), warnings=warnings,
                lead=True),  # fmt: skip
        _how_much(series, sizes, rows, truth, what_if),
    ]
    if scan is not None and scan.growth_maps:
        sections.append(_where(patient, scan, sizes, what_if))
    if pictures or drawn_sizes:
        sections.append(_looks(pictures, drawn_sizes))
    if what_if is not None:
        sections.append(_what_if(what_if, sizes[-1], scan))
    sections += [_made_with(made_with or {}), Section("How to cite", [CITATION, VIEWER_CITATION])]
    return write_page(
        path, title=f"{patient}: forecast for day {days}",
        sections=[s for s in sections if s is not None], settings=settings, commands=commands,
    )  # fmt: skip


def _how_much(
    series: SizeSeries, sizes: Sequence[SizeForecast], rows: Sequence[Mapping[str, Any]],
    truth: SizeReading | None, what_if: ShownWhatIf | None,
) -> Section:
    columns = list(rows[0]) if rows else []
    table = Table(
        columns, [[row.get(c) for c in columns] for row in rows],
        "Volumes are of the whole tumour: every label but a resection cavity.",
    )
    figure = timeline_figure(
        series, sizes, truth=truth, what_if=None if what_if is None else what_if.change
    )
    picture = Picture(
        svg(figure),
        "Visits, treatments, and the forecast: median and 95% interval. The interval includes what "
        "the prior learned of other patients' changes between visits.",
        alt="Tumour volume over days with visits, treatments, forecast median and interval",
    )
    words = [sizes[-1].guarantee]
    return Section("How much", words, [table] if rows else [], pictures=[picture])


def _where(
    patient: str, scan: ShownScan, sizes: Sequence[SizeForecast], what_if: ShownWhatIf | None
) -> Section:
    words = [
        "The probability of each voxel is the probability that the forecast volume reaches the "
        "volume at which the tumour is expected to arrive there."
    ]
    pictures = [
        _planes(scan, m, f"{patient}, day {size.day:g}")
        for m, size in zip(scan.growth_maps, sizes, strict=True)
    ]
    return Section("Where", words, pictures=pictures, viewer=_viewer(scan, sizes, what_if))


def _viewer(
    scan: ShownScan, sizes: Sequence[SizeForecast], what_if: ShownWhatIf | None
) -> Viewer:
    maps = {
        f"growth map, day {size.day:g}": m.probability
        for m, size in zip(scan.growth_maps, sizes, strict=True)
    }
    if what_if is not None and what_if.growth_map is not None:
        maps["what if, growth map"] = what_if.growth_map.probability
    return make_viewer(
        scan.volumes, maps, present=scan.present, brain=scan.brain, affine=scan.affine,
        drawn=scan.drawn, later=scan.later,
    )  # fmt: skip


def _planes(
    scan: ShownScan, growth_map: GrowthMap, title: str, *, scan_row: bool = True
) -> Picture:
    contrast = next((c for c in FIRST if c in scan.volumes), next(iter(scan.volumes)))
    name = CONTRAST_NAMES.get(contrast, contrast)
    figure = planes_figure(
        scan.volumes[contrast], growth_map.probability, scan.present, scan.brain,
        spacing_mm=growth_map.spacing_mm, title=f"{title}, {name}",
        scan_row=scan_row, later=scan.later,
    )  # fmt: skip
    red = "" if scan.later is None else " The red line is the later visit, which was not used."
    return Picture(
        svg(figure),
        "Last scan and growth map in three planes through the largest cross-sections. The blue "
        "line is the tumour of the last visit; the patient's right is on the left." + red,
        alt="Growth probability over the last scan in three planes", beside_viewer=True,
    )  # fmt: skip


def _looks(pictures: Sequence[Picture], rows: Sequence[Mapping[str, Any]]) -> Section:
    columns = {
        "z": "slice z", "quantile": "quantile of the volume", "last_mm2": "last scan (mm²)",
        "asked_mm2": "asked for (mm²)", "achieved_mm2": "drawn, measured on FLAIR (mm²)",
        "segmenter_mm2": "drawn, measured by the segmenter (mm²)",
        "verdict": "check of the picture",
    }  # fmt: skip
    table = Table(
        list(columns.values()), [[row.get(c) for c in columns] for row in rows],
        "Tumour area of each drawn slice: asked for by the forecast, and measured on the picture "
        "by a FLAIR threshold that was set on the last scan, and by a segmentation network with a "
        "threshold of the same kind.",
    )
    words = [
        "A drawn scan shows possible tissue where the growth map places the tumour. It is an "
        "example, not a prediction of each pixel."
    ]
    return Section("What it may look like", words, [table] if rows else [], pictures, grid=True)


def _what_if(
    what_if: ShownWhatIf, factual: SizeForecast, scan: ShownScan | None
) -> Section:
    other = what_if.change.forecast
    sizes = [("actual", factual), (what_if.change.change, other)]
    table = Table(
        ["radiotherapy", "day", "median (ml)", "95% interval (ml)"],
        [
            [name, s.day, f"{s.median / ML:.1f}",
             "{:.1f} to {:.1f}".format(*np.divide(s.interval(), ML))]
            for name, s in sizes
        ],
    )  # fmt: skip
    pictures = list(what_if.pictures)
    if scan is not None and what_if.growth_map is not None:
        both = (("actual", scan.growth_maps[-1]), (what_if.change.change, what_if.growth_map))
        pictures = [
            Picture(p.content, f"Growth map, {name}.", p.alt)
            for name, m in both for p in [_planes(scan, m, name, scan_row=False)]
        ] + pictures  # fmt: skip
    return Section(
        "What if", [what_if.origin], [table], pictures,
        warnings=["Not evidence of what treatment would do."], grid=True,
    )  # fmt: skip


def _made_with(made_with: Mapping[str, str]) -> Section | None:
    if not made_with:
        return None
    return Section("What it was made with", [], [Table(["part", "what"], list(made_with.items()))])

"""Fig. 4 of the paper: generations over targets, growth maps over the scan, HD95 by method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mechlearn.report.slice_pictures import brain_window, contour, overlay, show, side_letters
from mechlearn.report.style import (
    BLACK,
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    SKY,
    label_axes,
    new_figure,
)

__all__ = ["MapSheet", "distance_figure", "map_name", "maps_figure", "progression_figure"]

NAMES = {
    "no_change": "no change", "dilation": "dilation", "heat_kernel": "heat kernel",
    "fisher_kpp": "Fisher-KPP", "travel_time": "travel time of a front",
    "arrival_order": "arrival map (default)", "dynamic": "dynamic map (paper)",
    "static": "static map (paper)", "dynamic_labels": "under labels",
}  # fmt: skip


@dataclass(frozen=True)
class MapSheet:
    """One slice: its scans, masks (H, W) and growth maps by method.

    images: (K, H, W), FLAIR generations at rising targets. areas_mm2: (K,), the targets.
    """

    name: str
    scan: np.ndarray
    follow_up: np.ndarray
    initial: np.ndarray
    truth: np.ndarray
    brain: np.ndarray
    maps: Mapping[str, np.ndarray]
    images: np.ndarray
    areas_mm2: np.ndarray
    pixel_mm2: float


def map_name(method: str) -> str:
    """Name of a method in figures and tables."""
    return NAMES.get(method, method.replace("_", " "))


def progression_figure(sheets: Sequence[MapSheet]) -> Figure:
    """Fig. 4A: last scan, generations at rising target sizes, true follow-up; a row a slice."""
    columns = max(len(sheet.images) for sheet in sheets) + 2
    figure = new_figure(1.9 * columns, 2.3 * len(sheets))
    axes = figure.subplots(len(sheets), columns, squeeze=False)
    for row, sheet in zip(axes, sheets, strict=True):
        window = brain_window(sheet.brain)
        planes = [sheet.scan, *sheet.images, sheet.follow_up]
        sizes = [sheet.initial.sum() * sheet.pixel_mm2, *sheet.areas_mm2,
                 sheet.truth.sum() * sheet.pixel_mm2]  # fmt: skip
        words = ["last scan", *(["target"] * len(sheet.images)), "true follow-up"]
        for ax in row:
            ax.set_axis_off()
        for ax, plane, size, word in zip(row, planes, sizes, words, strict=False):
            show(ax, plane, window=window, title=f"{word}\n{size:.0f} mm²")
        contour(row[0], sheet.initial, colour=SKY, window=window)
        contour(row[len(planes) - 1], sheet.truth, colour=GREEN, window=window)
        side_letters(row[0])
        row[0].text(-0.04, 0.5, sheet.name, rotation=90, transform=row[0].transAxes,
                    ha="right", va="center", fontsize=8)  # fmt: skip
    return figure


def maps_figure(sheets: Sequence[MapSheet], methods: Sequence[str]) -> Figure:
    """Growth maps of several methods over the last scan. Blue: last tumour, green: true one."""
    figure = new_figure(2.1 * len(methods), 2.4 * len(sheets) + 0.4)
    axes = figure.subplots(len(sheets), len(methods), squeeze=False)
    drawn = None
    for i, (row, sheet) in enumerate(zip(axes, sheets, strict=True)):
        window = brain_window(sheet.brain)
        for ax, method in zip(row, methods, strict=True):
            show(ax, sheet.scan, window=window, title=map_name(method) if i == 0 else "")
            if method in sheet.maps:
                inside = np.where(sheet.brain, sheet.maps[method], 0.0)
                drawn = overlay(ax, inside, window=window)
            contour(ax, sheet.initial, colour=SKY, window=window)
            contour(ax, sheet.truth, colour=GREEN, window=window)
        row[0].text(-0.04, 0.5, sheet.name, rotation=90, transform=row[0].transAxes,
                    ha="right", va="center", fontsize=8)  # fmt: skip
    if drawn is not None:
        figure.colorbar(drawn, ax=axes, shrink=0.7, label="probability of growth")
    return figure


def distance_figure(
    values: Mapping[str, Sequence[float | None]], alone: Mapping[str, Sequence[float | None]]
) -> Figure:
    """Fig. 4B: HD95 to the true follow-up by method, with and without the initial mask.

    Args:
        values, alone: method -> HD95 in mm of each slice, None for an empty mask.
    """
    figure = new_figure(13, 4.8)
    heads = ("with the initial tumour", "map alone")
    for ax, group, head in zip(figure.subplots(1, 2, sharey=True), (values, alone), heads,
                               strict=True):  # fmt: skip
        for i, (method, found) in enumerate(group.items()):
            known = [v for v in found if v is not None]
            if known:
                ax.boxplot([known], positions=[i], widths=0.55, showfliers=False,
                           patch_artist=True, medianprops={"color": BLACK},
                           boxprops={"facecolor": _colour(method, i), "alpha": 0.55})  # fmt: skip
            spread = np.random.default_rng(0).uniform(-0.16, 0.16, len(known))
            ax.plot(i + spread, known, "o", color=BLACK, markersize=2.2, alpha=0.5)
        names = [f"{map_name(m)}{_empty(found)}" for m, found in group.items()]
        ax.set_xticks(range(len(names)), names, fontsize=8, rotation=35, ha="right")
        label_axes(ax, x="", y="HD95 to the true follow-up (mm)", title=head)
    return figure


def _empty(found: Sequence[float | None]) -> str:
    count = sum(v is None for v in found)
    return f" ({count} empty)" if count else ""


def _colour(method: str, i: int) -> str:
    fixed = {"no_change": GREY, "arrival_order": BLUE}
    return fixed.get(method, CYCLE[1 + i % (len(CYCLE) - 1)])

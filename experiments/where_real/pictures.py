"""Figures of the real pairs: reliability, coverage against volume, patients in three planes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mechlearn.evaluation.scored_case import ForecastCase
from mechlearn.metrics.calibration import Reliability
from mechlearn.metrics.volume_overlap import coverage_at_volume
from mechlearn.records import ArrivalMap

COLOURS = ("#999999", "#0072B2")
SHARES = np.linspace(0.1, 3.0, 15)  # of the volume that becomes tumour
OLD, HIT, FALSE, MISSED = (0.55, 0.55, 0.55), (0.0, 0.62, 0.45), (0.84, 0.37, 0.0), (0.0, 0.45, 0.7)


def draw_reliability(bins: Reliability, path: Path) -> None:
    """Predicted against observed frequency outside the last tumour."""
    figure = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color=COLOURS[0])
    axes.plot(bins.predicted, bins.observed, "o-", color=COLOURS[1])
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("observed share of tumour at the second visit")
    figure.savefig(path, dpi=110)


def draw_coverage(
    cases: Sequence[tuple[ForecastCase, Mapping[str, ArrivalMap]]], path: Path
) -> None:
    """Share of the new tumour covered, against treated volume over new tumour volume."""
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for colour, name in zip(COLOURS, cases[0][1], strict=True):
        lines = []
        for case, maps in cases:
            region = case.where & ~case.last
            new = int((case.truth & region).sum())
            score = -np.nan_to_num(maps[name].arrival, posinf=1e12)
            lines.append([
                coverage_at_volume(score, case.truth, region=region, n_voxels=round(share * new))
                for share in SHARES
            ])  # fmt: skip
        axes.plot(SHARES, np.mean(lines, axis=0), color=colour, label=name.replace("_", " "))
    axes.set_xlabel("treated volume / new tumour volume")
    axes.set_ylabel("share of new tumour covered")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def draw_planes(cases: Sequence[tuple[ForecastCase, ArrivalMap, float]], path: Path) -> None:
    """Three planes a case: grey last tumour, green hit, orange false, blue missed."""
    figure = Figure(figsize=(9, 3 * len(cases)), layout="constrained")
    grid = figure.subplots(len(cases), 3, squeeze=False)
    for line, (case, arrival, size) in zip(grid, cases, strict=True):
        centre = [round(v) for v in np.argwhere(case.truth & ~case.last).mean(axis=0)]
        mask = arrival.mask(size)
        for axis, axes in enumerate(line):
            cut = tuple(centre[a] if a == axis else slice(None) for a in range(3))
            shown = _coloured(case, mask, cut)
            axes.imshow(shown if axis == 0 else shown[::-1])
            axes.set_axis_off()
        line[0].set_title(f"{case.patient}, x{case.truth.sum() / case.last.sum():.1f}", fontsize=9)
    figure.savefig(path, dpi=90)


def _coloured(case: ForecastCase, mask: np.ndarray, cut: tuple[int | slice, ...]) -> np.ndarray:
    pace = case.pace[cut]
    shown = np.stack([0.25 + 0.7 * pace] * 3, -1) * (pace > 0)[..., None]
    last, truth, grown = case.last[cut], case.truth[cut], mask[cut]
    for where, colour in (
        (last, OLD), (grown & truth & ~last, HIT), (grown & ~truth & ~last, FALSE),
        (truth & ~grown & ~last, MISSED),
    ):  # fmt: skip
        shown[where] = colour
    return shown

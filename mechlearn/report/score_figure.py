"""Figure of a scored forecast: overlap by method, and reliability of its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mechlearn.metrics.calibration import Reliability

__all__ = ["draw_scores"]

OWN, OTHER = "#0072B2", "#999999"  # two colours of a palette for colour-blind readers


def draw_scores(
    table: Sequence[Mapping[str, Any]],
    reliability: Reliability,
    path: str | Path,
) -> Path:
    """Write the figure.

    Args:
        table: rows of `evaluation.scoring.summary_of`.
        reliability: reliability of the prediction, over voxels outside the last tumour.
        path: image file.
    """
    figure = Figure(figsize=(11, 0.3 * len(table) + 1.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    names = [f"{row['method'].replace('_', ' ')} ({row['size']})" for row in table]
    for axes, key, title in ((left, "dice", "Dice"), (middle, "hd95_mm", "HD95, mm")):
        for place, row in enumerate(table):
            colour = OWN if row["method"] == "prediction" else OTHER
            if row[key] is None:
                continue
            axes.plot(row[key], place, "o", color=colour)
            if row[f"{key}_interval"] is not None:
                axes.plot(row[f"{key}_interval"], [place, place], "-", color=colour)
        axes.set_yticks(range(len(names)), names if axes is left else [""] * len(names))
        axes.invert_yaxis()
        axes.set_xlabel(f"{title}, mean over patients (95%)")
        axes.grid(axis="x", alpha=0.3)
    right.plot([0, 1], [0, 1], "--", color=OTHER)
    right.plot(reliability.predicted, reliability.observed, "o-", color=OWN)
    right.set_xlabel("predicted probability")
    right.set_ylabel("observed share of tumour")
    right.set_aspect("equal")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path

"""Figure of requested against achieved tumour size of generated slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mechlearn.report.style import BLACK, BLUE, GREY, VERMILION, label_axes, new_figure

__all__ = ["size_figure"]


def size_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Requested against achieved size (measured on FLAIR), and SSIM outside the tumour.

    Args:
        rows: one a generation: `slice_id`, `multiple`, `ratio_achieved`, `ratio_guide`,
            `ssim_outside`; sizes are ratios to the initial size.
    """
    figure = new_figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    multiples = sorted({float(r["multiple"]) for r in rows})
    for name in sorted({r["slice_id"] for r in rows}):
        mine = sorted((r for r in rows if r["slice_id"] == name), key=lambda r: r["multiple"])
        left.plot([r["multiple"] for r in mine], _column(mine, "ratio_achieved"), color=GREY,
                  linewidth=0.8, alpha=0.7)
    measured, guide = (_medians(rows, key, multiples) for key in ("ratio_achieved", "ratio_guide"))
    left.plot(multiples, measured, "o-", color=BLUE, linewidth=2, label="measured on FLAIR, median")
    left.plot(multiples, guide, "s--", color=VERMILION, linewidth=1.2,
              label="predicted by the guide, median")
    left.plot(multiples, multiples, ":", color=BLACK, label="as requested")
    label_axes(left, x="requested size / initial size", y="achieved size / initial size",
               title=f"Size response, {len({r['slice_id'] for r in rows})} slices")
    left.legend(fontsize=8, frameon=False)
    outside = [[r["ssim_outside"] for r in rows
                if r["multiple"] == m and r.get("ssim_outside") is not None] for m in multiples]
    right.boxplot(outside, positions=range(len(multiples)), widths=0.6,
                  medianprops={"color": BLUE}, flierprops={"markersize": 3})
    right.set_xticks(range(len(multiples)), [f"{m:g}" for m in multiples])
    label_axes(right, x="requested size / initial size", y="SSIM outside the tumour region",
               title="Anatomy kept")
    return figure


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    return np.array([np.nan if r.get(key) is None else r[key] for r in rows], float)


def _medians(rows: Sequence[Mapping[str, Any]], key: str, multiples: Sequence[float]) -> np.ndarray:
    columns = [_column([r for r in rows if r["multiple"] == m], key) for m in multiples]
    return np.array([np.nan if np.isnan(c).all() else np.nanmedian(c) for c in columns])

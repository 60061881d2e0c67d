"""Figure of drawn slices beside the last scan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mechlearn.records import AxialSlice
from mechlearn.report.slice_pictures import brain_window, contour, show, side_letters
from mechlearn.report.style import SKY, VERMILION, new_figure

__all__ = ["drawn_figure"]


def drawn_figure(
    scan: AxialSlice,
    pictures: Mapping[str, tuple[np.ndarray, np.ndarray, bool]],
    *,
    contrasts: tuple[str, ...] = ("t2f", "t1c"),
) -> Figure:
    """One row a contrast: the last scan, then the drawn slices.

    Args:
        scan: slice of the last scan.
        pictures: title -> image (C, H, W), labels (H, W), whether the image passes its checks.
        contrasts: rows; contrasts that the scan lacks are left out.
    """
    rows = [name for name in contrasts if name in scan.contrasts] or [scan.contrasts[-1]]
    figure = new_figure(2.0 * (1 + len(pictures)), 2.3 * len(rows))
    axes = np.asarray(figure.subplots(len(rows), 1 + len(pictures)), object).reshape(len(rows), -1)
    window = brain_window(scan.brain)
    present = scan.tumour
    for row, name in enumerate(rows):
        k = scan.contrasts.index(name)
        show(axes[row, 0], scan.image[k], window=window, title=f"last scan, {name}")
        contour(axes[row, 0], present, colour=SKY, window=window)
        side_letters(axes[row, 0])
        for column, (words, (image, labels, good)) in enumerate(pictures.items(), start=1):
            ax = axes[row, column]
            title = words + ("" if good else "\n(fault found)")
            show(ax, image[k], window=window, title=title)
            contour(ax, (labels > 0) & (labels != 4), colour=VERMILION, window=window)
            contour(ax, present, colour=SKY, window=window, dashed=True)
            side_letters(ax)
    return figure

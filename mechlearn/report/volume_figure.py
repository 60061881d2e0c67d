"""Figure of a 3D growth map over the last scan, in three planes through the tumour."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechlearn.report.slice_pictures import contour, overlay
from mechlearn.report.style import SKY, VERMILION, new_figure

__all__ = ["planes_figure"]

PLANES = ("axial", "coronal", "sagittal")
WINDOW = (1.0, 99.5)  # percentiles of the brain drawn as black and as white
MARGIN_MM = 6.0


def planes_figure(
    scan: np.ndarray,
    probability: np.ndarray,
    present: np.ndarray,
    brain: np.ndarray,
    *,
    spacing_mm: tuple[float, ...],
    title: str = "",
    scan_row: bool = True,
    later: np.ndarray | None = None,
) -> Figure:
    """Axial, coronal and sagittal plane: the scan above, the growth map over it below.

    Args:
        scan: one contrast, (Z, H, W) in canonical order.
        probability: growth map, (Z, H, W) in [0, 1].
        present: tumour of the last visit, bool; drawn as a contour.
        brain: bool.
        spacing_mm: voxel size along Z, H, W.
        title: title of the figure.
        scan_row: False for the growth map without the row of scans.
        later: tumour of a later visit, bool; drawn as a contour over the growth map.
    """
    count = 2 if scan_row else 1
    figure = new_figure(8.0, 2.7 * count)
    axes = figure.subplots(count, 3, squeeze=False)
    low, high = np.percentile(scan[brain], WINDOW) if brain.any() else (0.0, 1.0)
    at = _centre(present if present.any() else probability > probability.max() / 2)
    drawn = None
    for column, (name, axis) in enumerate(zip(PLANES, range(3), strict=True)):
        cut = [_plane(a, axis, at[axis]) for a in (scan, probability, present, brain)]
        aspect = _aspect(axis, spacing_mm)
        window = _window(cut[3], axis, spacing_mm)
        grey, map_, mask = (c[window] for c in cut[:3])
        for row in range(count):
            ax = axes[row, column]
            ax.imshow(grey, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect,
                      interpolation="none")  # fmt: skip
            ax.set_axis_off()
            _letters(ax, axis)
        axes[0, column].set_title(f"{name}, last scan" if scan_row else name, fontsize=10)
        if scan_row:
            axes[1, column].set_title("growth probability", fontsize=10)
        drawn = overlay(axes[-1, column], map_, aspect=aspect)
        for row in range(count):
            contour(axes[row, column], mask, colour=SKY)
        if later is not None:
            contour(axes[-1, column], _plane(later, axis, at[axis])[window], colour=VERMILION)
    if drawn is not None:
        figure.colorbar(drawn, ax=axes[-1, :], shrink=0.8, label="P(voxel is tumour)")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _centre(mask: np.ndarray) -> tuple[int, int, int]:
    """The plane with most of the mask along each axis."""
    if not mask.any():
        return tuple(n // 2 for n in mask.shape)
    return tuple(int(mask.sum(tuple({0, 1, 2} - {a})).argmax()) for a in range(3))  # type: ignore[return-value]


def _plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """One plane with the superior or anterior side on top."""
    plane = np.take(volume, index, axis)
    return plane if axis == 0 else plane[::-1]  # z runs from inferior to superior


def _aspect(axis: int, spacing_mm: tuple[float, ...]) -> float:
    rows, columns = ((1, 2), (0, 2), (0, 1))[axis]
    return spacing_mm[rows] / spacing_mm[columns]


def _window(brain: np.ndarray, axis: int, spacing_mm: tuple[float, ...]) -> tuple[slice, slice]:
    if not brain.any():
        return slice(None), slice(None)
    sides = ((1, 2), (0, 2), (0, 1))[axis]
    spans = []
    for k, side in enumerate(sides):
        where = np.flatnonzero(brain.any(axis=1 - k))
        margin = int(np.ceil(MARGIN_MM / spacing_mm[side]))
        spans.append(slice(max(int(where[0]) - margin, 0), int(where[-1]) + margin + 1))
    return spans[0], spans[1]


def _letters(ax: Axes, axis: int) -> None:
    """R and L, or A and P, as a radiologist expects them."""
    for x, letter in zip((0.05, 0.95), ("AP" if axis == 2 else "RL"), strict=True):
        ax.text(x, 0.94, letter, transform=ax.transAxes, color="white", fontsize=9, ha="center",
                va="center")  # fmt: skip

"""Slices on a page: radiological (the patient's left on the right), anterior up, cropped.

The store's grid has this orientation: rows run from anterior to posterior, columns from the
patient's right to the left. A plane is drawn without a flip, first row on top.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.image import AxesImage

from mechlearn.records import CONTRASTS

__all__ = ["FLAIR", "brain_window", "contour", "flair", "overlay", "show", "side_letters"]

FLAIR = CONTRASTS.index("t2f")
Window = tuple[slice, slice]
WHOLE: Window = (slice(None), slice(None))


def flair(image: np.ndarray, contrasts: tuple[str, ...] = CONTRASTS) -> np.ndarray:
    """The T2-FLAIR plane (H, W) of an image (C, H, W); without T2-FLAIR, the last contrast."""
    return np.asarray(image)[contrasts.index("t2f") if "t2f" in contrasts else -1]


def brain_window(brain: np.ndarray, *, margin_px: int = 4) -> Window:
    """Rows and columns of the brain with a margin; the whole slice for an empty mask."""
    if not brain.any():
        return WHOLE
    spans = []
    for axis in (0, 1):
        where = np.flatnonzero(brain.any(axis=1 - axis))
        low = max(int(where[0]) - margin_px, 0)
        spans.append(slice(low, int(where[-1]) + margin_px + 1))
    return spans[0], spans[1]


def show(
    ax: Axes,
    plane: np.ndarray,
    *,
    window: Window = WHOLE,
    limits: tuple[float, float] = (-1.0, 1.0),
    colours: str = "gray",
    title: str = "",
) -> AxesImage:
    """Draw one plane (H, W) without axes."""
    drawn = ax.imshow(plane[window], cmap=colours, vmin=limits[0], vmax=limits[1],
                      interpolation="none", origin="upper")
    ax.set_axis_off()
    if title:
        ax.set_title(title, fontsize=9)
    return drawn


def contour(ax: Axes, mask: np.ndarray, *, colour: str, window: Window = WHOLE,
            dashed: bool = False) -> None:
    """The outline of a mask (H, W); nothing for a mask that is empty or full."""
    cut = mask[window]
    if cut.any() and not cut.all():
        ax.contour(cut.astype(float), levels=[0.5], colors=[colour], linewidths=1.3,
                   linestyles="--" if dashed else "-")


def side_letters(ax: Axes) -> None:
    """R on the left and L on the right of the picture, as a radiologist expects them."""
    for x, letter in ((0.05, "R"), (0.95, "L")):
        ax.text(x, 0.94, letter, transform=ax.transAxes, color="white", fontsize=9,
                ha="center", va="center")


def overlay(ax: Axes, probability: np.ndarray, *, window: Window = WHOLE,
            above: float = 0.05, aspect: float = 1.0) -> ScalarMappable:
    """Draw a probability (H, W) over a slice: transparent up to `above`, then rising opacity.

    Returns:
        The drawn image, for a colour bar.
    """
    cut = np.clip(probability[window], 0, 1)
    colours = ScalarMappable(Normalize(0.0, 1.0), "inferno")
    picture = colours.to_rgba(cut)
    picture[..., 3] = np.where(cut > above, 0.35 + 0.5 * cut, 0.0)
    ax.imshow(picture, aspect=aspect, interpolation="none", origin="upper")
    return colours

"""Growth probability maps: where guided generations differ from the image they start from.

Section 3.3: difference maps between generated and original images, binarised by Otsu, averaged.
Otsu always splits, also the noise of an image that did not change; a floor guards against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from skimage.filters import threshold_otsu

from mechlearn.checks import finite, one_of, same_shape
from mechlearn.records import Generation, GrowthMap
from mechlearn.spatial.flair_threshold import FlairThreshold, as_image

__all__ = ["DEFAULT_FLOOR", "ChangeFloor", "binarise", "change_floor", "change_map", "growth_map"]

_PIXEL_PERCENTILE, _PEAK_PERCENTILE = 99.0, 99.9  # of the brain's pixels


@dataclass(frozen=True)
class ChangeFloor:
    """What counts as no change, summed over contrasts.

    Attributes:
        pixel: a pixel counts only above it.
        peak: an image whose 99.9th percentile of change in the brain stays within it is unchanged
            and votes for no growth at all.
    """

    pixel: float
    peak: float

    def __post_init__(self) -> None:
        finite("growth map floor", self.pixel)
        finite("growth map floor peak", self.peak)


# A twentieth of the range in each of four contrasts. Where the unguided sampler changes more than
# that, give its generation as the floor.
DEFAULT_FLOOR = ChangeFloor(0.4, 0.4)


def change_map(
    x0: np.ndarray | torch.Tensor,
    image: np.ndarray | torch.Tensor,
    *,
    brain: np.ndarray,
    median_px: int = 3,
) -> np.ndarray:
    """|image - x0| summed over contrasts, (H, W), 0 outside the brain.

    Args:
        x0, image: (C, H, W).
        brain: (H, W) bool.
        median_px: side of a median filter on the sum; 1 for none, as in the paper. On 24 slices of
            six BraTS cases with a painted rim of growth and edge-weighted noise of 2% (4%) of the
            range, the Otsu mask agrees with the rim at Dice .87 (.69) with 3, .84 (.65) with 1,
            .80 (.68) with 5; a Gaussian of one pixel does worse than none.
    """
    reference, other = as_image(x0), as_image(image)
    same_shape("generated image", other, "x0", reference)
    brain = np.asarray(brain, bool)
    same_shape("image slice", reference[0], "brain", brain)
    if median_px < 1:
        raise ValueError(f"median_px={median_px}: must be 1 (none) or more pixels.")
    change = np.where(brain, np.abs(other - reference).sum(axis=0), 0.0)
    if median_px > 1:
        change = np.where(brain, ndimage.median_filter(change, size=median_px), 0.0)
    return change


def change_floor(
    x0: np.ndarray | torch.Tensor,
    unguided: Generation | np.ndarray | torch.Tensor,
    *,
    brain: np.ndarray,
    median_px: int = 3,
) -> ChangeFloor:
    """The change that sampling makes without guidance: 99th and 99.9th percentile in the brain."""
    image = unguided.image if isinstance(unguided, Generation) else unguided
    change = change_map(x0, image, brain=brain, median_px=median_px)
    values = change[np.asarray(brain, bool)]
    pixel, peak = np.percentile(values, [_PIXEL_PERCENTILE, _PEAK_PERCENTILE])
    return ChangeFloor(float(pixel), float(peak))


def binarise(
    change: np.ndarray, *, brain: np.ndarray, floor: ChangeFloor | float = 0.0
) -> np.ndarray:
    """Pixels whose change exceeds the floor and Otsu's threshold in the brain, (H, W) bool.

    Args:
        change: (H, W), from `change_map`.
        brain: (H, W) bool.
        floor: a number stands for both the pixel's and the image's; 0 is the paper's bare Otsu.
    """
    values = change[brain]
    if values.size == 0:
        raise ValueError("brain mask is empty: there is no pixel to threshold. Drop the slice.")
    floor = floor if isinstance(floor, ChangeFloor) else ChangeFloor(floor, floor)
    peak = np.percentile(values, _PEAK_PERCENTILE) if floor.peak > 0 else values.max()
    if peak <= floor.peak or values.min() == values.max():
        return np.zeros_like(brain, dtype=bool)
    return np.asarray(brain & (change > max(float(threshold_otsu(values)), floor.pixel)))


def growth_map(
    x0: np.ndarray | torch.Tensor,
    generations: Sequence[Generation],
    *,
    brain: np.ndarray,
    kind: Literal["dynamic", "static"],
    spacing_mm: tuple[float, float],
    floor: ChangeFloor | float | Generation | None = None,
    weights: Sequence[float] | None = None,
    median_px: int = 3,
    source: str = "otsu",
    flair: FlairThreshold | None = None,
) -> GrowthMap:
    """Weighted share of the generations that change a pixel.

    Args:
        x0: reference image, (C, H, W).
        generations: guided samples of it: over forecast targets (`dynamic`) or over seeds at one
            target (`static`).
        brain: (H, W) bool.
        spacing_mm: pixel size (row, column).
        floor: change that does not count: a number (0 is the paper's bare Otsu), a ChangeFloor, or
            a generation without guidance, whose own change sets it; None for `DEFAULT_FLOOR`.
        weights: one a generation; by default those of the targets. Normalised to sum to one.
        median_px: as in `change_map`.
        source: `otsu`, of the difference, as in the paper; or `mask`: the outline that `flair`
            segments in each generation, which includes the initial tumour.
        flair: FLAIR threshold, needed by `source="mask"`.

    Returns:
        The map. A generation whose change stays under the floor (`mask`: whose measured tumour is
        that of x0) counts in `n_unchanged`; it keeps its weight and votes for no growth.

    Raises:
        ValueError: no generations, weights that do not fit, a missing FLAIR threshold.
    """
    if not generations:
        raise ValueError("growth map: no generations; at least one is needed.")
    one_of("growth map source", source, ("otsu", "mask"))
    brain = np.asarray(brain, bool)
    share = _normalised(generations, weights)
    if source == "mask":
        if flair is None:
            raise ValueError("growth map source='mask' needs flair=FlairThreshold.fit(...).")
        initial = flair.outline(x0) & brain
        votes = [flair.outline(g.image) & brain for g in generations]
        n_unchanged = sum(bool(np.array_equal(v, initial)) for v in votes)
    else:
        level = _floor(x0, floor, brain=brain, median_px=median_px)
        changes = (change_map(x0, g.image, brain=brain, median_px=median_px) for g in generations)
        votes = [binarise(change, brain=brain, floor=level) for change in changes]
        n_unchanged = sum(not v.any() for v in votes)
    probability = np.clip(np.tensordot(share, np.stack(votes).astype(float), axes=1), 0.0, 1.0)
    return GrowthMap(probability, kind, len(generations), spacing_mm, n_unchanged)


def _floor(
    x0: np.ndarray | torch.Tensor,
    floor: ChangeFloor | float | Generation | None,
    *,
    brain: np.ndarray,
    median_px: int,
) -> ChangeFloor | float:
    if isinstance(floor, Generation):
        return change_floor(x0, floor, brain=brain, median_px=median_px)
    return DEFAULT_FLOOR if floor is None else floor


def _normalised(generations: Sequence[Generation], weights: Sequence[float] | None) -> np.ndarray:
    given = [g.target.weight for g in generations] if weights is None else weights
    share = np.asarray(given, float)
    if share.shape != (len(generations),) or not (share >= 0).all() or not share.sum() > 0:
        raise ValueError(
            f"growth map weights={list(given)!r}: need one of 0 or more for each of the "
            f"{len(generations)} generations, not all 0."
        )
    return share / share.sum()

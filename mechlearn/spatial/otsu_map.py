"""Growth probability maps from differences between guided generations and their reference image.

Section 3.3: difference maps between generated and original images, binarised by Otsu, averaged.
Otsu's threshold also splits the noise of an unchanged image; a floor prevents this.
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
    """Limits of a change, summed over contrasts, below which nothing has changed.

    Attributes:
        pixel: a pixel has changed only if its change is larger.
        peak: an image is unchanged if the 99.9th percentile of its change in the brain is not
            larger; it then adds no growth.
    """

    pixel: float
    peak: float

    def __post_init__(self) -> None:
        finite("growth map floor", self.pixel)
        finite("growth map floor peak", self.peak)


# A twentieth of the range in each of four contrasts. If the unguided sampler changes more, give its
# generation as the floor.
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
            range, the Dice of the Otsu mask and the rim is .87 (.69) with 3, .84 (.65) with 1, .80
            (.68) with 5. A Gaussian of one pixel is worse than no filter.
    """
    reference, other = as_image(x0), as_image(image)
    same_shape("generated image", other, "x0", reference)
    brain = np.asarray(brain, bool)
    same_shape("image slice", reference[0], "brain", brain)
    if median_px < 1:
        raise ValueError(f"median_px={median_px}: must be at least 1 pixel (1: no filter).")
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
    """Change by sampling without guidance: its 99th and 99.9th percentile in the brain."""
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
        floor: a number is used for `pixel` and `peak`; 0 is Otsu without a floor, as in the paper.
    """
    values = change[brain]
    if values.size == 0:
        raise ValueError("brain mask is empty, so there is no threshold. Drop the slice.")
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
        floor: limit of change: a number (0: Otsu without a floor, as in the paper), a ChangeFloor,
            or a generation without guidance whose change is the limit; None for `DEFAULT_FLOOR`.
        weights: one a generation; by default those of the targets. Normalised to sum to one.
        median_px: as in `change_map`.
        source: `otsu`, of the difference, as in the paper; or `mask`: the segmentation of each
            generation by `flair`, which includes the initial tumour.
        flair: FLAIR threshold, needed by `source="mask"`.

    Returns:
        The map. Generations with a change below the floor (`mask`: with the tumour of x0) are
        counted in `n_unchanged`; they keep their weight and add no growth.

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
            f"growth map weights={list(given)!r}: give one weight, 0 or more, for each of the "
            f"{len(generations)} generations, and not all 0."
        )
    return share / share.sum()

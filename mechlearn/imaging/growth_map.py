"""Growth probability maps: where guided generations differ from the image they start from.

Section 3.3: difference maps between generated and original images, binarised by Otsu, averaged.
Otsu always splits, also the noise of an image that did not change; a floor guards against that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from skimage.filters import threshold_otsu

from mechlearn.checks import finite, one_of, same_shape
from mechlearn.imaging.measure import FlairMeter, as_image, smooth_inside
from mechlearn.records import Generation, GrowthMap

__all__ = ["DEFAULT_FLOOR", "binarise", "change_floor", "change_map", "growth_map"]

# Summed over four contrasts of range 2: 0.05 of the range in one contrast each. Below it lies what
# inversion alone changes with a trained denoiser.
DEFAULT_FLOOR = 0.4


def change_map(
    x0: np.ndarray | torch.Tensor,
    image: np.ndarray | torch.Tensor,
    *,
    brain: np.ndarray,
    smooth_px: float = 0.0,
) -> np.ndarray:
    """|image - x0| summed over contrasts, (H, W), 0 outside the brain.

    Args:
        x0, image: (C, H, W).
        brain: (H, W) bool.
        smooth_px: Gaussian mean of the difference over brain pixels before it is binarised.
    """
    reference, other = as_image(x0), as_image(image)
    same_shape("generated image", other, "x0", reference)
    brain = np.asarray(brain, bool)
    same_shape("image slice", reference[0], "brain", brain)
    return smooth_inside(np.abs(other - reference).sum(axis=0), brain, smooth_px)


def change_floor(
    x0: np.ndarray | torch.Tensor,
    unguided: Generation | np.ndarray | torch.Tensor,
    *,
    brain: np.ndarray,
    smooth_px: float = 0.0,
    percentile: float = 99.9,
) -> float:
    """The change that sampling makes without guidance: a percentile over the brain's pixels."""
    image = unguided.image if isinstance(unguided, Generation) else unguided
    change = change_map(x0, image, brain=brain, smooth_px=smooth_px)
    return float(np.percentile(change[np.asarray(brain, bool)], percentile))


def binarise(change: np.ndarray, *, brain: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """Pixels whose change exceeds the floor and Otsu's threshold in the brain, (H, W) bool."""
    values = change[brain]
    if values.size == 0:
        raise ValueError("brain mask is empty: there is no pixel to threshold. Drop the slice.")
    if values.max() <= max(floor, values.min()):
        return np.zeros_like(brain, dtype=bool)
    return np.asarray(brain & (change > max(float(threshold_otsu(values)), floor)))


def growth_map(
    x0: np.ndarray | torch.Tensor,
    generations: Sequence[Generation],
    *,
    brain: np.ndarray,
    kind: Literal["dynamic", "static"],
    spacing_mm: tuple[float, float],
    floor: float | Generation | None = None,
    weights: Sequence[float] | None = None,
    smooth_px: float = 1.0,
    source: str = "difference",
    meter: FlairMeter | None = None,
) -> GrowthMap:
    """Weighted share of the generations that change a pixel.

    Args:
        x0: reference image, (C, H, W).
        generations: guided samples of it: over forecast targets (`dynamic`) or over seeds at one
            target (`static`).
        brain: (H, W) bool.
        spacing_mm: pixel size (row, column).
        floor: change below which a pixel never counts: a number (0 is the paper's bare Otsu), or a
            generation without guidance, whose own change sets it; None for `DEFAULT_FLOOR`.
        weights: one a generation; by default those of the targets. Normalised to sum to one.
        smooth_px: as in `change_map`.
        source: `difference` as in the paper, or `mask`: the tumour that `meter` measures in each
            generation, which includes the initial tumour.
        meter: needed by `source="mask"`.

    Returns:
        The map. A generation in which no pixel exceeds the floor (`mask`: whose measured tumour is
        that of x0) counts in `n_unchanged`; it keeps its weight and votes for no growth.

    Raises:
        ValueError: no generations, weights that do not fit, a missing meter.
    """
    if not generations:
        raise ValueError("growth map: no generations; at least one is needed.")
    one_of("growth map source", source, ("difference", "mask"))
    brain = np.asarray(brain, bool)
    share = _normalised(generations, weights)
    if source == "mask":
        if meter is None:
            raise ValueError("growth map source='mask' needs a meter: pass FlairMeter.fit(...).")
        initial = meter.mask(x0)
        votes = [meter.mask(g.image) & brain for g in generations]
        n_unchanged = sum(bool(np.array_equal(v, initial)) for v in votes)
    else:
        level = _floor(x0, floor, brain=brain, smooth_px=smooth_px)
        changes = (change_map(x0, g.image, brain=brain, smooth_px=smooth_px) for g in generations)
        votes = [binarise(change, brain=brain, floor=level) for change in changes]
        n_unchanged = sum(not v.any() for v in votes)
    probability = np.clip(np.tensordot(share, np.stack(votes).astype(float), axes=1), 0.0, 1.0)
    return GrowthMap(probability, kind, len(generations), spacing_mm, n_unchanged)


def _floor(
    x0: np.ndarray | torch.Tensor,
    floor: float | Generation | None,
    *,
    brain: np.ndarray,
    smooth_px: float,
) -> float:
    if floor is None:
        return DEFAULT_FLOOR
    if isinstance(floor, Generation):
        return change_floor(x0, floor, brain=brain, smooth_px=smooth_px)
    return finite("growth map floor", floor)


def _normalised(generations: Sequence[Generation], weights: Sequence[float] | None) -> np.ndarray:
    given = [g.target.weight for g in generations] if weights is None else weights
    share = np.asarray(given, float)
    if share.shape != (len(generations),) or not (share >= 0).all() or not share.sum() > 0:
        raise ValueError(
            f"growth map weights={list(given)!r}: need one of 0 or more for each of the "
            f"{len(generations)} generations, not all 0."
        )
    return share / share.sum()

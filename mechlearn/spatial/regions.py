"""Regions of one axial slice: the doubled tumour, masks of a given area, boxes, distances.

Dilation is Euclidean: it thresholds the distance to the mask, so its radius takes the values 1,
1.41, 2, 2.24, ... pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mechlearn.checks import finite, same_shape

__all__ = [
    "box_around",
    "dilate_to_area",
    "double_area_dilation",
    "signed_distance",
    "signed_mm",
    "tumour_region",
]


def signed_distance(
    mask: np.ndarray, *, spacing_mm: tuple[float, ...] = (1.0, 1.0)
) -> np.ndarray:
    """Distance to a mask's edge in `spacing_mm` units: positive outside, negative inside.

    Raises:
        ValueError: the mask is empty.
    """
    mask = np.asarray(mask, bool)
    if not mask.any():
        raise ValueError("mask is empty, so it has no edge. Drop the slice.")
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    if mask.all():
        return -np.ones(mask.shape)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    return np.asarray(outside - inside)


def signed_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Distance to a mask's edge in mm, positive outside; outside the array is background."""
    spacing = tuple(float(side) for side in spacing_mm)
    core = (slice(1, -1),) * mask.ndim
    return signed_distance(np.pad(mask, 1), spacing_mm=spacing)[core]


def box_around(region: np.ndarray, margin: int | Sequence[int] = 0) -> tuple[slice, ...]:
    """Smallest box of slices around the true voxels of a region, plus a margin.

    `margin`: voxels on every side, one number or one an axis.
    """
    found = ndimage.find_objects(region.astype(np.uint8))
    if not found or found[0] is None:
        return tuple(slice(0, n) for n in region.shape)
    pads = [margin] * region.ndim if isinstance(margin, int) else margin
    return tuple(
        slice(max(s.start - pad, 0), min(s.stop + pad, n))
        for s, pad, n in zip(found[0], pads, region.shape, strict=True)
    )


def double_area_dilation(mask: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """The mask dilated inside the brain by the smallest disc that at least doubles its area.

    Section 3.1: "a dilated version (kernel adjusted to enable doubling of original tumor area)".

    Args:
        mask, brain: (H, W) bool. Only the mask's pixels in the brain count.

    Returns:
        (H, W) bool; empty for an empty mask; the whole brain if twice the area does not fit.
    """
    mask, brain = np.asarray(mask, bool), np.asarray(brain, bool)
    same_shape("mask", mask, "brain", brain)
    inside = mask & brain
    if not inside.any():
        return inside
    distance = np.maximum(signed_distance(inside), 0.0)
    ordered = np.sort(distance[brain])
    wanted = min(2 * int(inside.sum()), ordered.size)
    return brain & (distance <= ordered[wanted - 1])


def tumour_region(gt_mask: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Region of the scores inside the tumour: the expert mask dilated to twice its area."""
    return double_area_dilation(gt_mask, brain)


def _centrality(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the mask's centroid, to order pixels of equal distance."""
    rows, columns = np.nonzero(mask)
    r, c = np.indices(mask.shape)
    return np.hypot(r - rows.mean(), c - columns.mean())


def dilate_to_area(
    mask: np.ndarray,
    brain: np.ndarray,
    area_px: float,
    *,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """The mask dilated (or eroded) inside the brain to exactly `area_px` pixels.

    Pixels are ordered by their signed distance to the mask's edge, then by their distance to the
    mask's centroid, then by array order.

    Args:
        mask, brain: (H, W) bool; only the mask's pixels in the brain count.
        area_px: area of the result, rounded to whole pixels; above the brain's area, the whole
            brain.
        spacing_mm: pixel size (row, column); only its ratio matters.

    Raises:
        ValueError: a mask without a pixel in the brain, or a negative or undefined area.
    """
    mask, brain = np.asarray(mask, bool), np.asarray(brain, bool)
    same_shape("mask", mask, "brain", brain)
    if finite("area_px", area_px) < 0:
        raise ValueError(f"area_px={area_px:g}: an area is 0 or more.")
    inside = mask & brain
    distance = signed_distance(inside, spacing_mm=spacing_mm)
    candidates = np.flatnonzero(brain)
    # Rounded, so that rounding errors do not change the order.
    near = np.round(_centrality(inside).ravel()[candidates], 6)
    far = np.round(distance.ravel()[candidates], 6)
    order = candidates[np.lexsort((candidates, near, far))]
    grown = np.zeros(mask.size, bool)
    grown[order[: round(area_px)]] = True
    return grown.reshape(mask.shape)

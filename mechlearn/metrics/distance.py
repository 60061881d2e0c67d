"""Agreement of two masks: Hausdorff distance at the 95th percentile, Dice, and honest summaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mechlearn import agreement
from mechlearn.checks import positive, same_shape

__all__ = ["HD95Summary", "box_around_both", "dice", "edge", "hd95_mm", "summarise_hd95"]


@dataclass(frozen=True)
class HD95Summary:
    """A set of HD95 values in mm, undefined ones counted.

    `mean` and `median` are over the defined values and improve as predictions vanish: read them
    with `n_undefined`. `median_worst_case` counts each undefined one as infinitely far; it is None
    where that makes it infinite, or for no values at all.
    """

    n: int
    n_undefined: int
    mean: float | None
    median: float | None
    median_worst_case: float | None


def edge(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face on its outside, bool; the array's border is outside."""
    return mask & ~ndimage.binary_erosion(mask)


def box_around_both(a: np.ndarray, b: np.ndarray) -> tuple[slice, ...]:
    """Box around two masks, one voxel wider where there is room: distances are the same in it."""
    found = ndimage.find_objects((a | b).astype(np.uint8))
    return tuple(
        slice(max(s.start - 1, 0), min(s.stop + 1, n))
        for s, n in zip(found[0], a.shape, strict=True)
    )


def hd95_mm(
    mask_a: np.ndarray, mask_b: np.ndarray, spacing_mm: tuple[float, ...]
) -> float | None:
    """95th percentile Hausdorff distance in mm, the larger of the two directions.

    Args:
        mask_a, mask_b: bool, one shape, (H, W) or (D, H, W).
        spacing_mm: pixel size along each axis.

    Returns:
        mm; None where a mask is empty: there is no distance to nothing. Count it, and let a rank
        test take it as the worst case (`metrics.rank`).
    """
    a, b = np.asarray(mask_a, bool), np.asarray(mask_b, bool)
    same_shape("mask_a", a, "mask_b", b)
    if len(spacing_mm) != a.ndim:
        raise ValueError(
            f"spacing_mm={tuple(spacing_mm)}: needs one number for each of the {a.ndim} axes."
        )
    sampling = [positive("spacing_mm", s) for s in spacing_mm]
    if not a.any() or not b.any():
        return None
    box = box_around_both(a, b)
    edge_a, edge_b = edge(a[box]), edge(b[box])
    to_a = ndimage.distance_transform_edt(~edge_a, sampling=sampling)
    to_b = ndimage.distance_transform_edt(~edge_b, sampling=sampling)
    return float(max(np.percentile(to_b[edge_a], 95), np.percentile(to_a[edge_b], 95)))


def dice(mask_a: np.ndarray, mask_b: np.ndarray) -> float | None:
    """2 |a and b| / (|a| + |b|); 0 where one mask is empty, None where both are."""
    a, b = np.asarray(mask_a, bool), np.asarray(mask_b, bool)
    same_shape("mask_a", a, "mask_b", b)
    return agreement.dice(a, b)


def summarise_hd95(values: Sequence[float | None]) -> HD95Summary:
    """Mean and median of the defined values, and how many are not: see `HD95Summary`."""
    defined = [v for v in values if v is not None]
    worst = float(np.median([np.inf if v is None else v for v in values])) if values else np.inf
    return HD95Summary(
        n=len(values),
        n_undefined=len(values) - len(defined),
        mean=float(np.mean(defined)) if defined else None,
        median=float(np.median(defined)) if defined else None,
        median_worst_case=worst if np.isfinite(worst) else None,
    )

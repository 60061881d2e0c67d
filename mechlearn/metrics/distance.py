"""Agreement of two masks: Dice, Hausdorff distance at the 95th percentile, and its summary."""

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
    """Summary of HD95 values in mm, with the number of undefined ones.

    `mean` and `median` leave out undefined values, so empty predictions improve them: report
    `n_undefined` as well. `median_worst_case` counts an undefined value as infinite; it is None if
    the median is then infinite, or without values.
    """

    n: int
    n_undefined: int
    mean: float | None
    median: float | None
    median_worst_case: float | None


def edge(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face neighbour outside it, bool; outside the array is outside."""
    return mask & ~ndimage.binary_erosion(mask)


def box_around_both(a: np.ndarray, b: np.ndarray) -> tuple[slice, ...]:
    """Box around two masks with a margin of one voxel; distances in it do not change."""
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
        mm; None where a mask is empty. Count these cases, and treat them as the worst case in a
        rank test (`metrics.rank`).
    """
    a, b = np.asarray(mask_a, bool), np.asarray(mask_b, bool)
    same_shape("mask_a", a, "mask_b", b)
    if len(spacing_mm) != a.ndim:
        raise ValueError(
            f"spacing_mm={tuple(spacing_mm)}: give one number for each of the {a.ndim} axes."
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
    """Mean and median of the defined values, and the number of undefined ones."""
    defined = [v for v in values if v is not None]
    worst = float(np.median([np.inf if v is None else v for v in values])) if values else np.inf
    return HD95Summary(
        n=len(values),
        n_undefined=len(values) - len(defined),
        mean=float(np.mean(defined)) if defined else None,
        median=float(np.median(defined)) if defined else None,
        median_worst_case=worst if np.isfinite(worst) else None,
    )

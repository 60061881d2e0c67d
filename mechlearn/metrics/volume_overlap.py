"""Agreement of masks and probability maps: continuous Dice, surface Dice, coverage at a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mechlearn.checks import positive, same_shape
from mechlearn.metrics.distance import box_around_both, edge

__all__ = ["continuous_dice", "coverage_at_volume", "surface_dice"]


def continuous_dice(probability: np.ndarray, truth: np.ndarray) -> float | None:
    """Continuous Dice of a probability map B and a mask A (Shamir et al. 2018).

        cDC = 2 sum(a b) / (c sum(a) + sum(b)),    c = sum(a b) / sum(a sign(b))

    c = 1 where no voxel of the mask has a positive probability. A map that is proportional to the
    mask has cDC 1; if B is a mask, cDC is Dice.

    Args:
        probability: in [0, 1], any shape.
        truth: bool of the same shape.

    Returns:
        None where both are empty.

    Example:
        >>> import numpy as np
        >>> continuous_dice(np.array([0.4, 0.4, 0.0]), np.array([True, True, False]))
        1.0
    """
    b, a = np.asarray(probability, float), np.asarray(truth, bool)
    same_shape("probability", b, "truth", a)
    shared, touched = float(b[a].sum()), int((b[a] > 0).sum())
    c = shared / touched if touched else 1.0
    total = c * float(a.sum()) + float(b.sum())
    return None if total == 0 else 2 * shared / total


def surface_dice(
    mask_a: np.ndarray,
    mask_b: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    tolerance_mm: float = 2.0,
) -> float | None:
    """Share of the edge voxels of both masks within a tolerance of the other mask's edge.

    Args:
        mask_a, mask_b: bool, one shape.
        spacing_mm: voxel size along each axis.
        tolerance_mm: 2 mm is about the difference between two readers.

    Returns:
        0 where one mask is empty, None where both are.
    """
    a, b = np.asarray(mask_a, bool), np.asarray(mask_b, bool)
    same_shape("mask_a", a, "mask_b", b)
    if not a.any() and not b.any():
        return None
    if not a.any() or not b.any():
        return 0.0
    sampling = [positive("spacing_mm", s) for s in spacing_mm]
    box = box_around_both(a, b)
    edge_a, edge_b = edge(a[box]), edge(b[box])
    near_b = ndimage.distance_transform_edt(~edge_b, sampling=sampling)[edge_a] <= tolerance_mm
    near_a = ndimage.distance_transform_edt(~edge_a, sampling=sampling)[edge_b] <= tolerance_mm
    return float((near_a.sum() + near_b.sum()) / (near_a.size + near_b.size))


def coverage_at_volume(
    score: np.ndarray, truth: np.ndarray, *, region: np.ndarray, n_voxels: int
) -> float | None:
    """Share of the new tumour that lies in the `n_voxels` voxels of highest score in a region.

    The metric of PREDICT-GBM: the coverage of the new tumour by a treated volume of a given size
    that is chosen by this map.

    Args:
        score: of voxels, in any range: a higher value means more likely. Voxels with the value of
            the cut count partly, all with the same weight.
        truth: tumour at the next visit, bool.
        region: the brain outside the present tumour, bool.
        n_voxels: size of the treated volume, for example that of a uniform 15 mm margin.

    Returns:
        In [0, 1]; None where no voxel of the region becomes tumour.
    """
    s, t, where = np.asarray(score, float), np.asarray(truth, bool), np.asarray(region, bool)
    same_shape("score", s, "truth", t)
    same_shape("score", s, "region", where)
    s, t = s[where], t[where]
    if not t.any():
        return None
    n = min(int(n_voxels), s.size)
    if n <= 0:
        return 0.0
    cut = np.partition(s, s.size - n)[s.size - n]
    above, equal = s > cut, s == cut
    part = (n - int(above.sum())) / int(equal.sum())
    return float((t[above].sum() + part * t[equal].sum()) / t.sum())

"""Label maps of a tumour with a changed outline: compartments that fill the new mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mechlearn.checks import in_range, same_shape

__all__ = ["CAVITY", "CORE", "ENHANCING", "OEDEMA", "transported_labels"]

CORE, OEDEMA, ENHANCING, CAVITY = 1, 2, 3, 4
_COMMON = 0.05  # least share of oedema at the tumour's surface for new voxels to be oedema


def transported_labels(
    labels: np.ndarray,
    target: np.ndarray,
    brain: np.ndarray,
    *,
    inner: float = 1.0,
    spacing_mm: Sequence[float] | None = None,
) -> np.ndarray:
    """Labels of a tumour that fills `target`: old voxels keep their label, new ones get one.

    New voxels are oedema if oedema is at the tumour's surface, otherwise they get the label of the
    nearest surface voxel. Voxels outside `target` are 0. A resection cavity stays a cavity unless
    `target` includes it.

    Args:
        labels: canonical, (H, W) or (Z, H, W) uint8: 0 none, 1 core, 2 oedema, 3 enhancing,
            4 cavity.
        target, brain: bool of the same shape; the target outside the brain is left out.
        inner: growth of core and enhancing tumour: with 0 they do not change, with 1 they keep
            their share of the tumour, which agrees best with second visits of real patients
            (experiments/where_real). They grow into the nearest oedema, and the inside of the
            enhancing tumour becomes core, so that the rim keeps its width.
        spacing_mm: voxel size along each axis; None where all are equal.

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: shapes differ, or no tumour.

    Example:
        >>> labels = np.zeros((9, 9), np.uint8); labels[3:6, 3:6] = 2; labels[4, 4] = 3
        >>> grown = np.zeros((9, 9), bool); grown[2:7, 2:7] = True
        >>> transported_labels(labels, grown, np.ones((9, 9), bool))[2, 2]
        np.uint8(2)
    """
    target = np.asarray(target, bool) & np.asarray(brain, bool)
    same_shape("target", target, "labels", labels)
    in_range("inner", inner, 0.0, 1.0)
    present = (labels > 0) & (labels != CAVITY)
    if not present.any():
        raise ValueError("labels: no tumour, so it cannot grow. Drop this slice or visit.")
    out = np.where(target & present, labels, 0).astype(np.uint8)
    out[(labels == CAVITY) & ~target] = CAVITY
    joins = target & ~present
    if joins.any():
        out[joins] = _surface_label(labels, present, spacing_mm)[joins]
    return _grown_inside(out, labels, inner, spacing_mm) if inner > 0 and joins.any() else out


def _surface_label(
    labels: np.ndarray, present: np.ndarray, spacing_mm: Sequence[float] | None
) -> np.ndarray:
    """Label of new voxels: oedema if it is common at the surface, else that of the surface."""
    surface = present & ~ndimage.binary_erosion(present)
    if (labels[surface] == OEDEMA).mean() >= _COMMON:
        return np.full_like(labels, OEDEMA)
    nearest = ndimage.distance_transform_edt(
        ~surface, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    return np.asarray(labels[tuple(nearest)])


def _grown_inside(
    out: np.ndarray, labels: np.ndarray, inner: float, spacing_mm: Sequence[float] | None
) -> np.ndarray:
    """Core and enhancing tumour grown into the oedema around them."""
    kernel = (labels == CORE) | (labels == ENHANCING)
    tumour_before = kernel | (labels == OEDEMA)
    tumour = (out > 0) & (out != CAVITY)
    growth = tumour.sum() / tumour_before.sum() - 1.0
    extra = round(inner * growth * kernel.sum())
    free = tumour & (out == OEDEMA)
    if not kernel.any() or extra <= 0 or not free.any():
        return out
    far, nearest = ndimage.distance_transform_edt(
        ~kernel, sampling=spacing_mm, return_indices=True
    )
    distance = np.where(free, far, np.inf)
    reached = distance <= np.sort(distance[free])[min(extra, int(free.sum())) - 1]
    rim = ndimage.distance_transform_edt(labels == ENHANCING, sampling=spacing_mm).max()
    grown = out.copy()
    grown[reached] = labels[tuple(nearest)][reached]
    if (grown[reached] == ENHANCING).any():
        depth = ndimage.distance_transform_edt(
            (grown == CORE) | (grown == ENHANCING), sampling=spacing_mm
        )
        grown[(depth > 2 * rim) & (grown == ENHANCING)] = CORE
    return grown

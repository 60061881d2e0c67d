"""Where files lie: distances between grids, mirrored axes, the outline of a brain under flips."""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations

import nibabel as nib
import numpy as np

from mechlearn import agreement
from mechlearn.data.model_grid import reorient

__all__ = [
    "FLIPS",
    "apart_mm",
    "axis_codes",
    "best_turn",
    "dice",
    "mirrored_axes",
    "outline",
    "thumbnail",
]

WORLD_AXES = ("L-R", "A-P", "S-I")
# Flips of canonical axes (z, row, column) by name; how like each is to the brain is what tells.
FLIPS: dict[str, tuple[int, ...]] = {
    "A-P": (1,), "S-I": (0,), "A-P and S-I": (0, 1), "L-R": (2,),
}  # fmt: skip
OUTLINE = (16, 20, 16)  # cells of the brain's box, along z, row and column
EXTENT = (0.001, 0.999)  # shares of brain voxels between which the box lies: specks do not move it
THUMB_MM = 4.0


def apart_mm(shape: tuple[int, ...], one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance in mm between the corners of a volume under two affines."""
    corners = np.array(np.meshgrid(*([0, n - 1] for n in shape))).reshape(3, -1)
    moved = nib.affines.apply_affine(one - other, corners.T)
    return float(np.abs(moved).max())


def axis_codes(affine: np.ndarray) -> str:
    """Directions of the voxel axes, such as LPS."""
    return "".join(code or "?" for code in nib.aff2axcodes(affine))


def mirrored_axes(one: np.ndarray, other: np.ndarray) -> list[str]:
    """World axes along which two affines run in opposite directions, if they else agree."""
    a, b = one[:3, :3], other[:3, :3]
    size = np.linalg.norm(a, axis=0)
    same = (np.abs(a - b) < 1e-3 * size).all(0)
    opposite = (np.abs(a + b) < 1e-3 * size).all(0)
    if not (same | opposite).all():
        return []
    return [WORLD_AXES[int(np.abs(a[:, k]).argmax())] for k in np.flatnonzero(opposite)]


def outline(brain: np.ndarray) -> np.ndarray:
    """Shares of brain in the cells of its box, (16, 20, 16) float32: shape without size and place.

    Args:
        brain: (Z, H, W) bool, canonical order.
    """
    cells: np.ndarray = brain
    planes = brain.sum(0), brain.sum(2)
    for axis, profile in enumerate((planes[1].sum(1), planes[0].sum(1), planes[0].sum(0))):
        total = np.cumsum(profile) / max(int(profile.sum()), 1)
        low, high = np.searchsorted(total, EXTENT)
        cells = _bins(cells, axis, int(low), int(high) + 1, OUTLINE[axis])
    return cells.astype(np.float32)


def _bins(volume: np.ndarray, axis: int, low: int, high: int, n: int) -> np.ndarray:
    """Means over `n` equal bins of [low, high) along an axis; edges may cut a voxel."""
    moved = np.moveaxis(volume, axis, 0)[low:high].astype(np.float32)
    length = len(moved)
    edges = np.linspace(0, length, n + 1)
    voxel = np.arange(length)
    covered = np.minimum(edges[1:, None], voxel + 1) - np.maximum(edges[:-1, None], voxel)
    weights = (np.clip(covered, 0.0, None) * (n / length)).astype(np.float32)
    means = weights @ moved.reshape(length, -1)
    return np.moveaxis(means.reshape(n, *moved.shape[1:]), 0, axis)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two arrays of shares (or masks) of one shape; 1 if both are empty."""
    found = agreement.dice(one, other)
    return 1.0 if found is None else found


@lru_cache(maxsize=1)
def reference_outline() -> np.ndarray:
    """Outline of the MNI152 brain, which travels in nilearn's wheel."""
    from nilearn import datasets  # slow to import

    image = datasets.load_mni152_brain_mask(resolution=2)
    return outline(reorient(np.asarray(image.dataobj) > 0, image.affine))


def best_turn(shape: np.ndarray) -> tuple[float, float, str]:
    """How like a brain an outline is: (as it lies, turned as fits best, name of that turn).

    Turns are flips along A-P and S-I and exchanges of axes. A brain is nearly symmetric from left
    to right, so a flip along L-R cannot be seen in one outline.
    """
    reference = reference_outline()
    as_is = dice(shape, reference)
    best, name = as_is, ""
    for order in permutations(range(3)):
        turned = shape if order == (0, 1, 2) else _resized(shape.transpose(order))
        swap = "" if order == (0, 1, 2) else "axes exchanged"
        for flip, axes in (("", ()), *FLIPS.items()):
            if flip == "L-R":
                continue
            like = dice(np.flip(turned, axes), reference)
            if like > best:
                words = [swap, f"mirrored along {flip}" if flip else ""]
                best, name = like, " and ".join(w for w in words if w)
    return as_is, best, name


def _resized(shape: np.ndarray) -> np.ndarray:
    for axis in range(3):
        shape = _bins(shape, axis, 0, shape.shape[axis], OUTLINE[axis])
    return shape


def thumbnail(brain: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The brain mask in cells of about 4 mm, float32: what two masks of one grid share."""
    small: np.ndarray = brain
    for axis, spacing in enumerate(spacing_mm):
        n = max(round(brain.shape[axis] * spacing / THUMB_MM), 1)
        small = _bins(small, axis, 0, brain.shape[axis], min(n, brain.shape[axis]))
    return small.astype(np.float32)

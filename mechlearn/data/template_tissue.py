"""Tissue of the MNI152 template on a scan's grid, for masks in an atlas space without images.

The template (grey and white matter, brain mask at 1 mm) travels inside nilearn's wheel; nothing is
downloaded. Masks of BraTS lie in the space of the SRI24 atlas, which has another grid and is
brought to MNI152 by an affine map.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from mechlearn.checks import in_range

__all__ = ["TemplateTissue", "inside_template", "template_tissue", "walls"]

# The grid of BraTS: corners of its voxel centres in world mm (RAS+).
SRI24_CORNERS = np.array([[-239.0, 0.0, 0.0], [0.0, 239.0, 154.0]])
# World mm of that grid -> MNI152 mm, affine. Mean T1 of 35 brains of BraTS 2018 and 2021 without
# their tumours, registered to the MNI152 T1 (correlation .97; the two brain masks: Dice .97).
SRI24_TO_MNI = np.array([
    [1.0816, 0.0227, 0.0122, 125.264],
    [-0.0248, 1.0463, 0.2218, -149.868],
    [-0.0057, -0.2448, 1.1532, -52.985],
    [0.0, 0.0, 0.0, 1.0],
])  # fmt: skip


@dataclass(frozen=True)
class TemplateTissue:
    """Template maps on a grid, each (Z, H, W): grey, white, csf in [0, 1]; brain, wall bool.

    `wall` is the falx and the tentorium.
    """

    grey: np.ndarray
    white: np.ndarray
    csf: np.ndarray
    brain: np.ndarray
    wall: np.ndarray

    def speed(self, *, grey: float, csf: float) -> np.ndarray:
        """Relative speed of a front, 1 in white matter, 0 in walls and outside the brain."""
        mixed = self.white + grey * self.grey + csf * self.csf
        return np.asarray(np.where(self.brain & ~self.wall, mixed, 0.0), np.float32)


def walls(x: Any, y: Any, z: Any, white: Any) -> Any:
    """Falx and tentorium in MNI coordinates (mm), bool; arrays or tensors that broadcast.

    The falx is the midline plane above z = -12 where there is no white matter (the corpus
    callosum passes), the tentorium a tilted sheet with a gap for the brainstem.
    """
    falx = (abs(x) < 1.7) & (white < 0.55) & (z > -12)
    sheet = -3 - 0.30 * (-y - 40) - 0.006 * x**2
    gap = (abs(x) < 13) & (y > -48)
    return falx | ((abs(z - sheet) < 1.8) & (y < -30) & ~gap)


def template_tissue(shape: tuple[int, ...], affine: np.ndarray) -> TemplateTissue:
    """Template tissue at the voxels of a grid in the space of MNI152, or on the grid of BraTS.

    Args:
        shape: of the grid, three axes.
        affine: (4, 4), voxel of the grid -> world mm (RAS+), those of MNI152 unless the grid is
            that of BraTS (SRI24).
    """
    maps, origin = _template()
    if _is_sri24(shape, affine):
        affine = SRI24_TO_MNI @ affine
    index = np.indices(shape, dtype=np.float32).reshape(3, -1)
    world = np.asarray(affine[:3, :3], np.float32) @ index
    world += np.asarray(affine[:3, 3], np.float32)[:, None]
    at = world - origin[:, None]
    grey, white, brain = (
        ndimage.map_coordinates(m, at, order=1, mode="constant").reshape(shape) for m in maps
    )
    inside = brain >= 0.5
    x, y, z = (w.reshape(shape) for w in world)
    csf = np.clip(1 - grey - white, 0, 1) * inside
    return TemplateTissue(grey, white, csf, inside, walls(x, y, z, white) & inside)


def inside_template(mask: np.ndarray, tissue: TemplateTissue, *, least: float = 0.9) -> float:
    """Share of a mask inside the template's brain.

    Raises:
        ValueError: less than `least`: the mask does not lie in an atlas space that is known.
    """
    share = float(tissue.brain[mask].mean()) if mask.any() else 1.0
    in_range("share of the tumour in the template's brain", share, least, 1.0,
             remedy="The mask is neither in MNI152 space nor on the grid of BraTS: give a brain "
                    "mask or images.")  # fmt: skip
    return share


def _is_sri24(shape: tuple[int, ...], affine: np.ndarray) -> bool:
    corners = np.array([np.zeros(3), np.array(shape) - 1.0]) @ affine[:3, :3].T + affine[:3, 3]
    return bool(np.allclose(np.sort(corners, axis=0), SRI24_CORNERS, atol=0.1))


@lru_cache(maxsize=1)
def _template() -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    from nilearn import datasets  # slow to import, and only needed here

    images = [datasets.load_mni152_gm_template(resolution=1),
              datasets.load_mni152_wm_template(resolution=1),
              datasets.load_mni152_brain_mask(resolution=1)]  # fmt: skip
    maps = tuple(np.asarray(image.dataobj, np.float32) for image in images)
    return maps, np.asarray(images[0].affine[:3, 3], np.float32)

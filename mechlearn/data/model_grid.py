"""Source volume <-> the model's square axial grid.

Canonical slices are (Z, H, W): z from inferior to superior, rows from anterior to posterior,
columns from the patient's right to left, so that a slice shown as a picture has the front on top
and the patient's right on the left (the radiologist's view). A file in any of the 48 axis orders
is permuted and flipped, never interpolated, to get there. In the plane the slice is cropped or
padded to size * pixel_mm and resampled to pixel_mm if its own spacing differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations

from mechlearn.data.resample import axis_weights, resample_plane
from mechlearn.data.store_spec import check_grid

__all__ = [
    "GridPlacement",
    "SliceGrid",
    "canonical_affine",
    "canonical_spacing",
    "reorient",
    "reorient_back",
]

CANONICAL_AXES = ("S", "P", "L")
CUT_TOLERANCE = 0.005  # share of brain voxels that may fall outside the grid
SAME_SPACING = 1e-3  # relative difference under which two spacings are one
LABELS = 5  # canonical labels 0..4


def reorient(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Volume in the file's axis order -> (Z, H, W) in canonical order. No interpolation."""
    target = orientations.axcodes2ornt(CANONICAL_AXES)
    change = orientations.ornt_transform(orientations.io_orientation(affine), target)
    return np.asarray(orientations.apply_orientation(volume, change))


def reorient_back(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(Z, H, W) in canonical order -> the file's own axis order. Inverse of `reorient`."""
    target = orientations.axcodes2ornt(CANONICAL_AXES)
    change = orientations.ornt_transform(target, orientations.io_orientation(affine))
    return np.asarray(orientations.apply_orientation(volume, change))


def canonical_spacing(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel size in mm along (Z, H, W) of the canonical order of a file's affine."""
    sides = np.sqrt((affine[:3, :3] ** 2).sum(0))
    axis_of = orientations.io_orientation(affine)[:, 0].astype(int)
    world = np.empty(3)
    world[axis_of] = sides  # by world axis: left-right, posterior-anterior, inferior-superior
    return float(world[2]), float(world[1]), float(world[0])


def canonical_affine(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(4, 4), voxel (z, row, column) in canonical order -> world mm, of a file of this shape."""
    target = orientations.axcodes2ornt(CANONICAL_AXES)
    change = orientations.ornt_transform(orientations.io_orientation(affine), target)
    return np.asarray(affine @ orientations.inv_ornt_aff(change, shape))


@dataclass(frozen=True)
class SliceGrid:
    """The model's grid: `size` x `size` pixels of `pixel_mm`. 256 x 1.0 mm is the paper's."""

    size: int = 256
    pixel_mm: float = 1.0

    def __post_init__(self) -> None:
        check_grid(self.size, self.pixel_mm)

    def place(
        self,
        brain: np.ndarray,
        affine: np.ndarray,
        *,
        name: str,
        offset: tuple[int, int] | None = None,
    ) -> GridPlacement:
        """Lay the grid on a volume so that the brain is inside.

        The grid is centred on the volume; only if that would cut the brain is it centred on the
        brain's extent instead. Visits of one patient must share one offset, or the same pixel
        would mean another place: pass the first visit's.

        Args:
            brain: (Z, H, W) bool, canonical order.
            affine: (4, 4), of the file.
            name: of the case, for the message.
            offset: shift of the grid's centre in source voxels (rows, columns) if it is known.

        Raises:
            ValueError: more than 0.5% of the brain voxels would be cut off.
        """
        shape = (int(brain.shape[0]), int(brain.shape[1]), int(brain.shape[2]))
        placed = GridPlacement(self, shape, np.asarray(affine, float), offset or (0, 0))
        if offset is None and placed.share_outside(brain) > 0.0:
            centred = (_centre_offset(brain.sum((0, 2))), _centre_offset(brain.sum((0, 1))))
            moved = GridPlacement(self, shape, placed.affine, centred)
            placed = min(placed, moved, key=lambda p: p.share_outside(brain))
        lost = placed.share_outside(brain)
        if lost > CUT_TOLERANCE:
            need = max(
                np.ptp(np.flatnonzero(brain.any(other))) * mm
                for other, mm in zip(((0, 2), (0, 1)), placed.spacing_mm[1:], strict=True)
            )
            raise ValueError(
                f"case {name}: a grid of {self.size} x {self.size} pixels of {self.pixel_mm:g} mm "
                f"({self.size * self.pixel_mm:g} mm) cuts off {lost:.1%} of the brain, which "
                f"spans {need:.0f} mm; at most {CUT_TOLERANCE:.1%} may be lost. Use size >= "
                f"{int(np.ceil((need + 1) / self.pixel_mm))} or larger pixels."
            )
        return placed


def _centre_offset(profile: np.ndarray) -> int:
    """Centre of a brain profile relative to the middle of its axis, in voxels.

    The extent holds all but 0.1% of the voxels at each end, so that specks do not move it.
    """
    share = np.cumsum(profile) / max(float(profile.sum()), 1.0)
    first, last = np.searchsorted(share, [0.001, 0.999])
    return int(np.floor((first + last) / 2 - (profile.size - 1) / 2 + 0.5))


@dataclass(frozen=True, eq=False)
class GridPlacement:
    """A SliceGrid laid on one source volume: the map both ways.

    `shape` is the canonical (Z, H, W) of the source, `affine` the file's own, `offset` the shift
    of the grid's centre from the volume's centre in source voxels (rows, columns).
    """

    grid: SliceGrid
    shape: tuple[int, int, int]
    affine: np.ndarray
    offset: tuple[int, int]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Source spacing in mm along (z, row, column)."""
        axes = orientations.io_orientation(self.affine)[:, 0].astype(int)
        sizes = nib.affines.voxel_sizes(self.affine)
        by_world = dict(zip(axes.tolist(), map(float, sizes), strict=True))
        return by_world[2], by_world[1], by_world[0]

    @property
    def is_pure(self) -> bool:
        """True if the grid only crops and pads: no value is interpolated."""
        return all(self._axis(a)[1] == 1.0 for a in (0, 1))

    def _axis(self, axis: int) -> tuple[float, float]:
        """(source coordinate of grid pixel 0, source voxels a grid pixel), axis 0 row, 1 column."""
        n, spacing = self.shape[axis + 1], self.spacing_mm[axis + 1]
        step = self.grid.pixel_mm / spacing
        if abs(step - 1.0) < SAME_SPACING:
            return float((n - self.grid.size) // 2 + self.offset[axis]), 1.0
        centre = (n - 1) / 2 + self.offset[axis]
        return centre - step * (self.grid.size - 1) / 2, step

    def _weights(self, axis: int, *, back: bool = False) -> np.ndarray:
        start, step = self._axis(axis)
        n = self.shape[axis + 1]
        if back:
            return axis_weights(n, self.grid.size, start=-start / step, step=1.0 / step)
        return axis_weights(self.grid.size, n, start=start, step=step)

    def share_outside(self, brain: np.ndarray) -> float:
        """Share of the brain voxels (Z, H, W) whose centre lies outside the grid."""
        inside = []
        for axis in (0, 1):
            start, step = self._axis(axis)
            index = np.arange(self.shape[axis + 1])
            last = start + step * (self.grid.size - 0.5)
            inside.append((index >= start - step / 2) & (index <= last))
        plane = brain.sum(0)
        return 1.0 - float(plane[np.ix_(*inside)].sum()) / max(float(plane.sum()), 1.0)

    def _move(self, volume: np.ndarray, *, back: bool = False) -> np.ndarray:
        """Pure crop and pad with zeros of (..., H, W), bit exact."""
        out_plane = self.shape[1:] if back else (self.grid.size, self.grid.size)
        out = np.zeros((*volume.shape[:-2], *out_plane), volume.dtype)
        source: list[slice] = []
        target: list[slice] = []
        for axis in (0, 1):
            start = int(self._axis(axis)[0]) * (-1 if back else 1)
            n_in, n_out = volume.shape[axis - 2], out_plane[axis]
            low, high = max(start, 0), max(min(start + n_out, n_in), max(start, 0))
            source.append(slice(low, high))
            target.append(slice(low - start, high - start))
        out[..., target[0], target[1]] = volume[..., source[0], source[1]]
        return out

    def _resample(self, volume: np.ndarray, *, back: bool = False) -> np.ndarray:
        if self.is_pure:
            return self._move(volume, back=back)
        weights = (self._weights(axis, back=back) for axis in (0, 1))
        return resample_plane(volume, *weights)

    def images(
        self, volumes: np.ndarray, brain: np.ndarray, *, background: float, back: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images on the grid, (C, Z, S, S) float32, and the brain there, (Z, S, S) bool.

        Interpolation takes brain pixels alone (weights are renormalised over the brain), so that
        the brain's edge is not mixed with the background; a grid pixel is brain if at least half
        of its filter lies in the brain. `back=True` goes from the grid to the source plane.

        Args:
            volumes: (C, Z, H, W), canonical order.
            brain: (Z, H, W) bool.
            background: value outside the brain.
        """
        covered = self._resample(brain.astype(np.float32), back=back)
        kept = covered >= 0.5
        images = self._resample(np.where(brain, volumes, 0).astype(np.float32), back=back)
        np.divide(images, covered, out=images, where=kept)
        images[:, ~kept] = background
        return images, kept

    def labels(self, labels: np.ndarray, *, back: bool = False) -> np.ndarray:
        """Canonical labels (..., H, W) uint8: each class resampled, the largest share wins."""
        if self.is_pure:
            return self._move(labels.astype(np.uint8), back=back)
        present = [v for v in range(1, LABELS) if (labels == v).any()]
        best = self._resample((labels == 0).astype(np.float32), back=back)
        edge = self._resample(np.ones(labels.shape[-2:], np.float32), back=back)
        best += 1.0 - edge  # beyond the volume there is no label
        out = np.zeros(best.shape, np.uint8)
        for value in present:
            share = self._resample((labels == value).astype(np.float32), back=back)
            wins = share > best
            out[wins], best[wins] = value, share[wins]
        return out

    def values(self, values: np.ndarray, *, back: bool = False) -> np.ndarray:
        """Any quantity that is zero outside (a probability), (..., H, W) float32, linear."""
        return self._resample(values.astype(np.float32), back=back)

    def as_dict(self) -> dict[str, Any]:
        """Plain builtins, for JSON."""
        return {
            "size": self.grid.size,
            "pixel_mm": self.grid.pixel_mm,
            "shape": list(self.shape),
            "affine": self.affine.tolist(),
            "offset": list(self.offset),
        }

    @classmethod
    def from_dict(cls, card: Mapping[str, Any]) -> GridPlacement:
        """Inverse of `as_dict`."""
        z, rows, columns = (int(n) for n in card["shape"])
        row, column = (int(n) for n in card["offset"])
        grid = SliceGrid(int(card["size"]), float(card["pixel_mm"]))
        return cls(grid, (z, rows, columns), np.asarray(card["affine"], float), (row, column))

"""NIfTI volumes that must share one space: a forecast, the truth, the last visit."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes

from mechlearn.data.model_grid import canonical_affine, reorient
from mechlearn.data.nifti_input import open_volume

__all__ = ["AlignedVolumes", "read_aligned"]

TOLERANCE_MM = 0.1  # between the corners of two grids that count as one


@dataclass(frozen=True)
class AlignedVolumes:
    """Volumes on one grid in canonical order (Z, H, W), by name.

    Attributes:
        volumes: float32 arrays.
        spacing_mm: voxel size along z, rows, columns.
        affine: (4, 4), voxel (z, row, column) in canonical order -> world mm (RAS+).
    """

    volumes: Mapping[str, np.ndarray]
    spacing_mm: tuple[float, float, float]
    affine: np.ndarray


def read_aligned(paths: Mapping[str, str | Path]) -> AlignedVolumes:
    """Read NIfTI files in any orientation on one common grid.

    Files are permuted and flipped to canonical order, never interpolated.

    Args:
        paths: name -> .nii or .nii.gz; the first one sets the grid.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: not a readable 3D NIfTI, values that are not finite, or a file in another space.
    """
    volumes: dict[str, np.ndarray] = {}
    grid: np.ndarray | None = None
    first = ""
    for name, path in paths.items():
        volume, affine = _read(name, Path(path))
        if grid is None:
            grid, first = affine, name
        elif volume.shape != volumes[first].shape or _apart_mm(grid, affine, volume.shape) > (
            TOLERANCE_MM
        ):
            raise ValueError(
                f"{name} {path}: shape {volume.shape}, world position "
                f"{_apart_mm(grid, affine, volume.shape):.1f} mm away from {first} "
                f"{paths[first]} (shape {volumes[first].shape}). Resample it to the grid of "
                f"{first} first: labels with nearest neighbours, probabilities linearly."
            )
        volumes[name] = volume
    assert grid is not None
    z, rows, columns = (float(v) for v in voxel_sizes(grid))
    return AlignedVolumes(volumes, (z, rows, columns), grid)


def _read(name: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Volume (Z, H, W) and the affine of that order."""
    try:
        image = open_volume(path)
        data: np.ndarray = np.asarray(image.dataobj, dtype=np.float32)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name} {error}") from error
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise ValueError(f"{name} {path}: cannot be read as NIfTI ({error}). Convert or copy it "
                         "again.") from error  # fmt: skip
    if not np.isfinite(data).all():
        raise ValueError(f"{name} {path}: holds NaN or infinite values. Replace them by 0.")
    source = np.asarray(image.affine, float)
    return reorient(data, source), canonical_affine(source, data.shape)


def _apart_mm(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> float:
    """Largest distance between the corners of two grids of one shape, mm."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    difference = (a - b)[:3, :3] @ corners + (a - b)[:3, 3:]
    return float(np.linalg.norm(difference, axis=0).max())

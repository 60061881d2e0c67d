"""Results on slices -> NIfTI on the source's voxel grid, with the source's affine."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import DTypeLike

from mechlearn.checks import one_of
from mechlearn.data.model_grid import reorient, reorient_back
from mechlearn.data.nifti_input import open_volume
from mechlearn.files import replacing
from mechlearn.records import GrowthMap

if TYPE_CHECKING:
    from mechlearn.data.stored_visit import StoredVisit

__all__ = [
    "save_volume",
    "small_nifti",
    "write_growth_map",
    "write_labels",
    "write_scans",
    "write_slices",
]

Fill = Literal["background", "source"]


def write_slices(
    visit: StoredVisit,
    slices: Mapping[int, np.ndarray],
    path: str | Path,
    *,
    dtype: DTypeLike = np.float32,
    background: float = 0.0,
) -> Path:
    """Write numbers on slices (a probability, a difference) as one volume.

    Args:
        visit: of the store; it knows the source's shape, axis order and affine.
        slices: z -> (S, S) for a 3D volume, or (C, S, S) for a 4D one, channels last.
        path: ends in .nii.gz or .nii; folders are made.
        dtype: of the file.
        background: value of the slices not given and of pixels beyond the grid.

    Returns:
        The path.

    Raises:
        ValueError: no slice, a slice of another shape, a z outside the volume.
    """
    checked = _checked(visit, slices)
    shape = next(iter(checked.values())).shape[:-2]
    volume = np.full((*shape, *visit.placement.shape), background, np.float32)
    for z, values in checked.items():
        volume[..., z, :, :] = visit.placement.values(values - background, back=True) + background
    return save_volume(volume, visit.placement.affine, path, dtype=dtype)


def write_labels(visit: StoredVisit, slices: Mapping[int, np.ndarray], path: str | Path) -> Path:
    """Write canonical labels or masks, z -> (S, S), as one uint8 volume. See `write_slices`."""
    volume = np.zeros(visit.placement.shape, np.uint8)
    for z, labels in _checked(visit, slices).items():
        volume[z] = visit.placement.labels(labels.astype(np.uint8), back=True)
    return save_volume(volume, visit.placement.affine, path, dtype=np.uint8)


def write_growth_map(
    visit: StoredVisit, maps: Mapping[int, GrowthMap | np.ndarray], path: str | Path
) -> Path:
    """Write growth maps, z -> GrowthMap or probability (S, S), as one float32 volume."""
    slices = {z: m.probability if isinstance(m, GrowthMap) else m for z, m in maps.items()}
    return write_slices(visit, slices, path)


def write_scans(
    visit: StoredVisit,
    slices: Mapping[int, np.ndarray],
    folder: str | Path,
    *,
    stem: str,
    contrasts: Sequence[str] | None = None,
    fill: Fill = "background",
) -> dict[str, Path]:
    """Write generated scans in the source's intensities, one file a contrast.

    Args:
        visit: the visit that the scans start from: its brain, intensity range and grid.
        slices: z -> (C, S, S) in [-1, 1].
        folder: files are called <stem>-<contrast>.nii.gz.
        stem: of the file names.
        contrasts: channel names; None for the store's.
        fill: `background` leaves the other slices 0, `source` takes them from the source scan.

    Returns:
        Contrast -> path, without contrasts that the visit lacks (they have no source intensity).
        Whole numbers are written if the source file holds whole numbers.

    Raises:
        ValueError: see `write_slices`; also a channel number other than that of `contrasts`.
        FileNotFoundError: fill=source and the source scan is gone.
    """
    one_of("fill", fill, ("background", "source"))
    names = tuple(contrasts or visit.contrasts)
    there = [name for name in names if name in visit.intensity.contrasts]
    scale = visit.intensity.select(there)
    checked = _checked(visit, slices)
    volumes = {name: _canvas(visit, name, fill) for name in there}
    brains = visit.array("brain")
    for z, image in checked.items():
        if image.ndim != 3 or len(image) != len(names):
            raise ValueError(
                f"slice z={z}: shape {image.shape}, expected {len(names)} channels ({names})."
            )
        brain = brains[visit.row_of(z)][None]
        known = image[[names.index(name) for name in there], None]
        source, kept = visit.placement.images(known, brain, background=-1.0, back=True)
        for name, plane in zip(there, scale.invert(source, kept), strict=True):
            volumes[name][z] = plane[0]
    return {
        name: save_volume(
            volume, visit.placement.affine, Path(folder) / f"{stem}-{name}.nii.gz",
            dtype=_dtype(visit, name),
        )
        for name, volume in volumes.items()
    }


def _checked(visit: StoredVisit, slices: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    depth, size = visit.placement.shape[0], visit.placement.grid.size
    arrays = {int(z): np.asarray(values) for z, values in slices.items()}
    if not arrays:
        raise ValueError(f"{visit.record.name}: no slice to write. Give at least one.")
    first = next(iter(arrays.values())).shape
    for z, values in arrays.items():
        if not 0 <= z < depth:
            raise ValueError(f"slice z={z}: {visit.record.name} has slices 0 to {depth - 1}.")
        if values.shape != first or values.shape[-2:] != (size, size) or values.ndim > 3:
            raise ValueError(
                f"slice z={z}: shape {values.shape}; all slices are ({size}, {size}) or "
                f"(channels, {size}, {size}), as the store of {visit.record.name}."
            )
    return arrays


def _canvas(visit: StoredVisit, contrast: str, fill: Fill) -> np.ndarray:
    if fill == "background":
        return np.zeros(visit.placement.shape, np.float32)
    source = _source(visit, contrast)
    if source is None:
        raise FileNotFoundError(
            f"{visit.record.images[contrast]}: the source scan is gone; fill=source copies its "
            "other slices. Bring it back or use fill=background."
        )
    return reorient(np.asanyarray(source.dataobj).astype(np.float32), visit.placement.affine)


def _source(visit: StoredVisit, contrast: str) -> nib.Nifti1Image | None:
    path = visit.record.images[contrast]
    return open_volume(path) if path.is_file() else None


def _dtype(visit: StoredVisit, contrast: str) -> DTypeLike:
    """The source's integer type if its values are integers, float32 otherwise."""
    source = _source(visit, contrast)
    if source is None or source.get_data_dtype().kind not in "iu":
        return np.float32
    stored = source.dataobj
    plain = isinstance(stored, ArrayProxy) and (stored.slope, stored.inter) == (1.0, 0.0)
    return source.get_data_dtype() if plain else np.float32


def save_volume(
    volume: np.ndarray, affine: np.ndarray, path: str | Path, *, dtype: DTypeLike = np.float32
) -> Path:
    """Write a volume in canonical order as NIfTI in the axis order of its source, atomically.

    Args:
        volume: (Z, H, W), or (C, Z, H, W) for a 4D file, in canonical order.
        affine: (4, 4), of the source file; it is kept.
        path: ends in .nii.gz or .nii; folders are made.
        dtype: of the file; whole numbers are rounded and clipped to its range.

    Raises:
        ValueError: another file ending.
    """
    path = Path(path)
    if not path.name.endswith((".nii.gz", ".nii")):
        raise ValueError(f"{path}: a NIfTI file ends in .nii.gz or .nii. Rename it.")
    if volume.ndim == 4:
        data = np.stack([reorient_back(v, affine) for v in volume], axis=-1)
    else:
        data = reorient_back(volume, affine)
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        data = np.clip(np.rint(data), limits.min, limits.max)
    image = nib.Nifti1Image(data.astype(kind), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    with replacing(path) as partial:
        nib.save(image, partial)
    return path


def small_nifti(
    volume: np.ndarray, affine: np.ndarray, *, box: Sequence[slice], step: int = 1
) -> bytes:
    """Part of a uint8 volume as the bytes of a .nii.gz, in the axis order and space of its source.

    Args:
        volume: (Z, H, W) in canonical order, uint8.
        affine: (4, 4), of the source file.
        box: the part along Z, H, W.
        step: stride in voxels along H and W.
    """
    wanted = np.zeros(volume.shape, bool)
    steps = (1, step, step)
    wanted[tuple(slice(b.start, b.stop, k) for b, k in zip(box, steps, strict=True))] = True
    kept = [np.flatnonzero(reorient_back(wanted, affine).any(axis=others))
            for others in ((1, 2), (0, 2), (0, 1))]  # fmt: skip
    data = reorient_back(volume, affine)[np.ix_(*kept)]
    scale = np.array([k[1] - k[0] if k.size > 1 else 1 for k in kept])
    moved = np.array(affine, float)
    moved[:3, 3] += affine[:3, :3] @ np.array([k[0] for k in kept])
    moved[:3, :3] = affine[:3, :3] * scale
    image = nib.Nifti1Image(data.astype(np.uint8), moved)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=9, mtime=0)

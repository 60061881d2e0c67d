"""NIfTI as people's programs write it -> one 3D volume, affine in mm, or the reason."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

__all__ = ["open_volume", "spacing_note", "volume_of"]

FLAT = 1e-9  # mm3: voxels without a volume
IN_MM = {1: 1000.0, 3: 0.001}  # metre, micron: codes of the header's unit of length -> mm
VOXEL_MM = (0.05, 20.0)  # voxels of a head; tells a unit that was declared and not meant
SAME_SIZE = 0.01  # share by which two voxel sizes of a header may differ
BROKEN = (HeaderDataError, ImageFileError, EOFError, zlib.error, struct.error, OSError, ValueError)


def open_volume(path: Path, open_image: Callable[[Path], Any] = nib.load) -> nib.Nifti1Image:
    """A NIfTI file as one 3D volume.

    Raises:
        FileNotFoundError: no such file.
        ValueError: see `volume_of`; also a file that is no NIfTI, empty, or ends early.
    """
    if open_image is nib.load and path.is_dir():
        raise ValueError(
            f"{path}: is a folder, expected NIfTI. The forecast command converts folders of DICOM; "
            'in Python, give Patient.from_csv(..., nifti="FOLDER") a folder for the NIfTI files.'
        )
    if open_image is nib.load and not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. Restore it or mend its path.")
    try:
        image = open_image(path)
    except HeaderDataError as error:
        raise ValueError(f"{path} has a broken header: {error}. Write it again.") from error
    except BROKEN as error:
        raise ValueError(
            f"{path} cannot be read as NIfTI ({error}). Copy or convert it again."
        ) from error
    return volume_of(image, str(path))


def volume_of(image: Any, name: str) -> nib.Nifti1Image:
    """The image as one 3D volume of real numbers, its affine in mm.

    Axes of length 1 behind the third are dropped. An affine in metres or micrometres is scaled
    where that gives the voxels of a head. A singular sform gives way to a qform.

    Args:
        image: as nibabel loads it; its data may be on disk.
        name: of the file, for an error.

    Raises:
        ValueError: no NIfTI, several volumes, several numbers a voxel, or no usable affine.
    """
    if not isinstance(image, nib.Nifti1Image):
        raise ValueError(f"{name} is a {type(image).__name__}, expected NIfTI. Convert it.")
    kind = image.get_data_dtype()
    if kind.kind not in "biuf":
        raise ValueError(
            f"{name} holds {kind.names or kind.name} in each voxel, expected one real number. "
            "Export the grey values."
        )
    shape = image.shape
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape) < 1:
        raise ValueError(
            f"{name} has {len(shape)} dimensions, {shape}; expected one 3D volume. Split the file "
            "and name the volume that is meant."
        )
    affine = _affine(image)
    if not np.isfinite(affine).all() or abs(float(np.linalg.det(affine[:3, :3]))) < FLAT:
        raise ValueError(
            f"{name} has the affine {np.round(affine[:3], 3).tolist()}; it must be finite and give "
            "each axis a direction. Write it again from the source."
        )
    if len(shape) == 3 and np.array_equal(affine, image.affine):
        return image
    voxels = image.dataobj if len(shape) == 3 else np.asanyarray(image.dataobj).reshape(shape[:3])
    plain = type(image)(voxels, affine, image.header)
    plain.header.set_xyzt_units("mm")
    plain.file_map = image.file_map
    return plain


def _affine(image: nib.Nifti1Image) -> np.ndarray:
    affine: np.ndarray = np.asarray(image.affine, np.float64)
    header = image.header
    if int(header["sform_code"]) and int(header["qform_code"]):
        flat = abs(float(np.linalg.det(affine[:3, :3]))) < FLAT
        if flat and np.isfinite(affine).all() and (other := _qform(image)) is not None:
            affine = other
    factor = IN_MM.get(int(header["xyzt_units"]) % 8, 1.0)
    sizes = voxel_sizes(affine)
    if factor == 1.0 or _of_a_head(sizes) or not _of_a_head(sizes * factor):
        return affine
    return np.diag([factor, factor, factor, 1.0]) @ affine


def _of_a_head(sizes: np.ndarray) -> bool:
    return bool((sizes >= VOXEL_MM[0]).all() and (sizes <= VOXEL_MM[1]).all())


def _qform(image: nib.Nifti1Image) -> np.ndarray | None:
    try:
        found: np.ndarray | None = image.get_qform(coded=True)[0]
    except (ValueError, HeaderDataError):  # a quaternion longer than 1
        return None
    return found


def spacing_note(image: nib.Nifti1Image) -> str:
    """What is odd where affine and pixdim give a voxel different sizes; '' where they agree."""
    by_affine = voxel_sizes(image.affine)
    by_pixdim = np.abs(np.asarray(image.header["pixdim"][1:4], np.float64))
    if np.allclose(by_affine, by_pixdim, rtol=SAME_SIZE, atol=0):
        return ""
    sizes = [" x ".join(f"{s:.3g}" for s in found) for found in (by_affine, by_pixdim)]
    return f"voxels of {sizes[0]} mm by the affine, {sizes[1]} mm by pixdim"

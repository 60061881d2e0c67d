"""One NIfTI file read to its end, once: what cannot be read says how far it went."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from mechlearn.data.model_grid import reorient
from mechlearn.data.nifti_input import volume_of
from mechlearn.data.validation.findings import Check

__all__ = ["Scan", "Unreadable", "digest_of", "read_scan"]

CHUNK = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"
HEADER_BYTES = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
A_FOLDER = (
    "a folder, expected NIfTI (the forecast command and prepare align= convert folders of DICOM; "
    "in Python, Patient.from_csv(..., nifti=FOLDER) does)"
)
FILE_MISSING = Check(
    "missing file", "error", "every file of a visit is there and can be read",
    "Restore the file, mend its path, or drop the visit.",
)  # fmt: skip
TRUNCATED = Check(
    "truncated or broken file", "error", "a file can be read to its end",
    "Copy or download the file again; compare its checksum with the source's.",
)  # fmt: skip
NOT_NIFTI = Check(
    "not NIfTI", "error", "images are NIfTI, as .nii or .nii.gz",
    "Convert the file (dcm2niix, nibabel), or give it the ending of what it is.",
)  # fmt: skip
NOT_3D = Check(
    "not one 3D volume", "error", "a contrast is one 3D volume of one number a voxel",
    "Split the file and name the volume that is meant.",
)  # fmt: skip
BAD_AFFINE = Check(
    "unusable header", "error", "the affine is finite, invertible and gives each axis a direction",
    "Write sform or qform from the source (dcm2niix), or convert the file again.",
)  # fmt: skip


class Unreadable(Exception):
    """A file that yields no volume: the check it breaks, and what was found."""

    def __init__(self, check: Check, found: str) -> None:
        super().__init__(found)
        self.check, self.found = check, found


@dataclass(eq=False)
class Scan:
    """One file in memory. `image` is decompressed; `volume` (Z, H, W) is in canonical order."""

    key: str  # contrast, seg or brain_mask
    path: Path
    image: nib.Nifti1Image = field(repr=False)
    volume: np.ndarray = field(repr=False)

    @property
    def stored_type(self) -> np.dtype:
        """Number type in the file, before slope and intercept."""
        return np.dtype(self.image.get_data_dtype())

    @cached_property
    def is_constant(self) -> bool:
        first = self.volume.flat[0] if self.volume.size else 0
        return bool((self.volume == first).all())

    @cached_property
    def digest(self) -> str:
        """Of the voxel values in canonical order: the same picture in another file is the same."""
        return digest_of(self.volume)


def digest_of(values: np.ndarray) -> str:
    """Digest of an array's shape and values, whatever number type holds them."""
    plain = np.ascontiguousarray(_smallest(values))
    digest = hashlib.sha1(np.array(plain.shape, np.int64).tobytes(), usedforsecurity=False)
    digest.update(plain.data)
    return digest.hexdigest()


def _smallest(values: np.ndarray) -> np.ndarray:
    """As int16 if nothing is lost, else as float32."""
    limits = np.iinfo(np.int16)
    if values.dtype.kind == "f":
        short = values.astype(np.float32)
        if not np.isfinite(short).all() or not (short == np.rint(short)).all():
            return short
        values = short
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        return values.astype(np.float32)
    return values.astype(np.int16)


def read_scan(key: str, path: Path) -> Scan:
    """Read a file to its end.

    Raises:
        Unreadable: it is not there, ends early, is no NIfTI, has no 3D volume or no affine.
    """
    data, broken = _bytes_of(path)
    image = _image(data, path, broken)
    _check_size(image, data, broken)
    if broken:
        raise Unreadable(TRUNCATED, f"{_mb(len(data))}, {broken}")
    if any(n != 1 for n in image.shape[3:]) or len(image.shape) < 3 or min(image.shape) < 1:
        raise Unreadable(NOT_3D, f"shape {_by(image.shape)}")
    if image.get_data_dtype().kind not in "biuf":
        raise Unreadable(
            NOT_3D, f"shape {_by(image.shape)}, number type {image.get_data_dtype().name}"
        )
    try:
        image = volume_of(image, path.name)
    except ValueError as error:
        raise Unreadable(BAD_AFFINE, str(error)) from error
    affine = image.affine
    try:
        volume = reorient(np.asanyarray(image.dataobj), affine)
    except (ValueError, OSError) as error:
        raise Unreadable(BAD_AFFINE, f"{error}; affine {np.round(affine[:3], 3).tolist()}") from (
            error
        )
    return Scan(key, path, image, volume)


def _bytes_of(path: Path) -> tuple[bytes, str]:
    """(decompressed bytes, what ended them early or '')."""
    name = path.name.lower()
    if not path.is_file():
        raise Unreadable(FILE_MISSING, A_FOLDER if path.is_dir() else "no such file")
    if not name.endswith((".nii", ".nii.gz")):
        raise Unreadable(NOT_NIFTI, f"the name ends in {path.suffix or 'nothing'}")
    try:
        with path.open("rb") as stream:
            if name.endswith(".nii"):
                return stream.read(), ""
            magic = stream.read(2)
            if magic not in (b"", GZIP_MAGIC):
                raise Unreadable(NOT_NIFTI, "the name says gzip, the content is not")
            stream.seek(0)
            return _decompressed(stream)
    except OSError as error:
        raise Unreadable(FILE_MISSING, str(error)) from error


def _decompressed(stream: IO[bytes]) -> tuple[bytes, str]:
    parts = []
    try:
        with gzip.open(stream) as plain:
            while chunk := plain.read(CHUNK):
                parts.append(chunk)
    except EOFError:
        return b"".join(parts), "the compressed data end too early"
    except (zlib.error, gzip.BadGzipFile) as error:
        return b"".join(parts), f"broken after that: {error}"
    return b"".join(parts), ""


def _image(data: bytes, path: Path, broken: str) -> nib.Nifti1Image:
    if len(data) < 348:
        found = f"{len(data)} bytes, less than a header" + (f"; {broken}" if broken else "")
        raise Unreadable(TRUNCATED if broken or not data else NOT_NIFTI, found)
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    kinds = [kind for size, kind in HEADER_BYTES.items() if size in sizes]
    if not kinds:
        raise Unreadable(NOT_NIFTI, "no NIfTI header at the beginning")
    try:
        image: nib.Nifti1Image = kinds[0].from_bytes(data)
    except (ImageFileError, HeaderDataError, ValueError, OSError) as error:
        raise Unreadable(NOT_NIFTI, f"header: {error}") from error
    image.file_map["image"].filename = str(path)
    return image


def _check_size(image: nib.Nifti1Image, data: bytes, broken: str) -> None:
    """The header says how long the data are: checked before the memory is allocated."""
    voxels = int(np.prod([int(n) for n in image.shape], dtype=object)) if image.shape else 0
    proxy: Any = image.dataobj
    needed = int(proxy.offset) + voxels * image.get_data_dtype().itemsize
    if len(data) < needed:
        raise Unreadable(
            TRUNCATED, f"{_mb(len(data))} of {_mb(needed)}" + (f"; {broken}" if broken else "")
        )


def _mb(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n:,} bytes"


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

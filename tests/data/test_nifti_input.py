"""NIfTI as people's programs write it: read rightly where certain, refused with the remedy else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.nifti_input import open_volume, spacing_note
from mechlearn.data.volumes import read_visit

DATA = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
AFFINE = np.array([[-2.0, 0, 0, 9], [0, 0, 3, -4], [0, 1.5, 0, 2], [0, 0, 0, 1]])


def written(folder: Path, change: Callable[[nib.Nifti1Image], nib.Nifti1Image | None]) -> Path:
    image = nib.Nifti1Image(DATA, AFFINE)
    image = change(image) or image
    path = folder / "a.nii.gz"
    nib.save(image, path)
    return path


def unit(name: str, factor: float):
    def change(image: nib.Nifti1Image) -> nib.Nifti1Image:
        scaled = nib.Nifti1Image(DATA, np.diag([factor, factor, factor, 1.0]) @ AFFINE)
        scaled.header.set_xyzt_units(name)
        return scaled

    return change


def no_sform(image: nib.Nifti1Image) -> None:
    image.set_qform(AFFINE, code=1)
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = 0, 0, 0
    image.header["sform_code"] = 0


def scaled_by_nan(image: nib.Nifti1Image) -> None:
    image.header["scl_slope"], image.header["scl_inter"] = np.nan, np.nan


@pytest.mark.parametrize(
    "change",
    [
        lambda image: None,
        lambda image: nib.Nifti1Image(DATA[..., None], AFFINE),
        lambda image: nib.Nifti1Image(DATA[..., None, None], AFFINE),
        lambda image: nib.Nifti1Image(DATA.astype(">i2"), AFFINE),
        lambda image: nib.Nifti1Image(DATA.astype(np.float64), AFFINE),
        lambda image: nib.Nifti2Image(DATA, AFFINE),
        unit("meter", 0.001),
        unit("micron", 1000.0),
        unit("micron", 1.0),  # declared, not meant: voxels of 2 micrometres are no head's
        unit("unknown", 1.0),
        no_sform,
        scaled_by_nan,
    ],
    ids=["plain", "4D of one", "5D of one", "big endian", "float64", "NIfTI-2", "metres",
         "micrometres", "wrong unit", "no unit", "qform alone", "slope NaN"],
)  # fmt: skip
def test_one_volume_is_read_alike_however_it_is_written(tmp_path, change):
    image = open_volume(written(tmp_path, change))
    assert np.array_equal(np.asarray(image.dataobj), DATA)
    assert np.allclose(image.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: nib.Nifti1Image(np.stack([DATA, DATA], -1), AFFINE), r"4 dimensions, .* Sp"),
        (lambda image: nib.Nifti1Image(DATA[..., 0], AFFINE), "has 2 dimensions"),
        (lambda image: nib.Nifti1Image(DATA.astype(np.complex64), AFFINE), "expected one real num"),
    ],
)
def test_what_is_no_volume_names_file_and_remedy(tmp_path, change, message):
    with pytest.raises(ValueError, match=rf"a\.nii\.gz .*{message}"):
        open_volume(written(tmp_path, change))


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b broken", b"\0" * 400])
def test_a_file_that_is_no_nifti_is_named(tmp_path, content):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.nii\.gz"):
        open_volume(path)


def test_pixdim_against_sform_is_noted(tmp_path):
    def change(image: nib.Nifti1Image) -> None:
        image.set_qform(None, code=0)
        image.set_sform(AFFINE @ np.diag([0.9, 0.9, 0.9, 1.0]), code=1)
        image.header["pixdim"][1:4] = [2.0, 1.5, 3.0]

    path = written(tmp_path, lambda image: None)
    assert spacing_note(open_volume(path)) == ""
    image = nib.load(written(tmp_path, change))
    assert spacing_note(image) == "voxels of 1.8 x 1.35 x 2.7 mm by the affine, 2 x 1.5 x 3 mm by pixdim"  # noqa: E501


def poisoned(path: Path, where: Callable[[np.ndarray], np.ndarray]) -> None:
    image = nib.load(path)
    data = np.asarray(image.dataobj).astype(np.float32)
    nib.save(nib.Nifti1Image(np.where(where(data), np.nan, data), image.affine), path)


def test_nan_background_of_a_segmentation_is_called_nan(visit_of):
    record = visit_of()
    poisoned(record.seg, lambda data: data == 0)
    with pytest.raises(ValueError, match=r"seg\S*: [\d,]+ voxels of the segmentation are NaN or"):
        read_visit(record, ("t1n",))


def test_nan_in_a_contrast_is_refused(visit_of):
    record = visit_of()
    poisoned(record.images["t1n"], lambda data: data == 0)
    with pytest.raises(ValueError, match=r"voxels of \S*t1n\S* are NaN or infinite"):
        read_visit(record, ("t1n",))

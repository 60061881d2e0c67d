"""A scan given by hand becomes a visit, however its files are laid out."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.single_scan import scan_record

CONTRASTS = ("t1n", "t2f")
AFFINE = np.diag([-1.5, -1.5, 3.0, 1.0])


def save(path, values):
    nib.save(nib.Nifti1Image(values, AFFINE), path)
    return path


def volumes(shape=(6, 5, 4)):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 900, shape).astype(np.int16) for _ in CONTRASTS]


def read(path):
    return np.asanyarray(nib.load(path).dataobj)


def test_files_by_contrast_are_taken_as_they_are(tmp_path):
    t1n, t2f = volumes()
    files = {"t1n": save(tmp_path / "a.nii.gz", t1n), "t2f": save(tmp_path / "b.nii.gz", t2f)}
    assert scan_record(files, CONTRASTS, scratch=tmp_path / "s").images == files
    assert scan_record(list(files.values()), CONTRASTS, scratch=tmp_path / "s").images == files


def test_channels_of_one_file_keep_numbers_type_and_place(tmp_path):
    path = save(tmp_path / "all.nii.gz", np.stack(volumes(), -1))
    record = scan_record(path, CONTRASTS, scratch=tmp_path / "s")
    for name, values in zip(CONTRASTS, volumes(), strict=True):
        split = nib.load(record.images[name])
        np.testing.assert_array_equal(read(record.images[name]), values)
        assert split.get_data_dtype() == np.int16
        np.testing.assert_array_equal(split.affine, AFFINE)


def test_scaled_integers_keep_their_values(tmp_path):
    image = nib.Nifti1Image(np.stack(volumes(), -1), AFFINE)
    image.header.set_slope_inter(0.5, 3.0)
    nib.save(image, tmp_path / "all.nii")
    record = scan_record(tmp_path / "all.nii", CONTRASTS, scratch=tmp_path / "s")
    whole = read(tmp_path / "all.nii")
    np.testing.assert_allclose(read(record.images["t2f"]), whole[..., 1], rtol=1e-6)


def test_a_single_slice_gets_its_third_axis(tmp_path):
    path = save(tmp_path / "t2f.nii.gz", volumes((6, 5))[0])
    record = scan_record(path, ("t2f",), scratch=tmp_path / "s", seg=path)
    assert nib.load(record.images["t2f"]).shape == nib.load(record.seg).shape == (6, 5, 1)


def test_scan_without_a_segmentation_has_no_tumour(tmp_path):
    path = save(tmp_path / "t2f.nii.gz", volumes()[0])
    record = scan_record(path, ("t2f",), scratch=tmp_path / "s")
    assert read(record.seg).shape == (6, 5, 4)
    assert not read(record.seg).any()


def test_mask_travels_with_the_scan(tmp_path):
    path = save(tmp_path / "t2f.nii.gz", volumes()[0])
    assert scan_record(path, ("t2f",), scratch=tmp_path, brain_mask=path).brain_mask == path


def test_missing_contrast_is_named(tmp_path):
    path = save(tmp_path / "t1n.nii.gz", volumes()[0])
    with pytest.raises(ValueError, match=r"no file for t2f.*--image#t2f"):
        scan_record({"t1n": path, "t2f": None}, CONTRASTS, scratch=tmp_path)


def test_one_file_with_another_number_of_channels_is_refused(tmp_path):
    path = save(tmp_path / "all.nii.gz", np.stack([*volumes(), volumes()[0]], -1))
    with pytest.raises(ValueError, match=r"shape \(6, 5, 4, 3\).*\(X, Y, Z, 2\)"):
        scan_record(path, CONTRASTS, scratch=tmp_path)


def test_too_few_files_are_refused(tmp_path):
    path = save(tmp_path / "t1n.nii.gz", volumes()[0])
    with pytest.raises(ValueError, match="1 files.*2 contrasts: t1n, t2f"):
        scan_record([path], CONTRASTS, scratch=tmp_path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.nii.gz"):
        scan_record(tmp_path / "nowhere.nii.gz", CONTRASTS, scratch=tmp_path)

"""A forecast is told what `mode=check` says of its patient."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.validation.told import warnings_of


def test_a_dose_in_cgy_is_told(visit_of, spec):
    record = replace(visit_of(), day=0.0, rt_start_day=14.0, dose_gy=6000.0, fractions=30)
    assert any("6000 Gy (cGy?)" in text for text in warnings_of([record], spec))


def test_a_voxel_size_against_the_affine_is_told(visit_of, spec):
    record = visit_of()
    for path in record.files().values():
        image = nib.load(path)
        image.set_sform(image.affine @ np.diag([0.9, 0.9, 0.9, 1.0]), code=1)
        image.header["qform_code"] = 0
        nib.save(image, path)
    told = "voxels of 0.9 x 0.9 x 0.9 mm by the affine, 1 x 1 x 1 mm by pixdim"
    assert any(told in text for text in warnings_of([record], spec))


def test_an_error_names_file_rule_and_remedy(visit_of, spec):
    record = visit_of()
    record.images["t2w"].write_bytes(b"")
    with pytest.raises(ValueError, match=r"t2w\S*: 0 bytes.*; a file can be read to its end. Copy"):
        warnings_of([record], spec)

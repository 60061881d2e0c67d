from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.masks import binary, combine, join_masks, split_masks, support


def test_cell_of_several_masks_comes_back_as_it_was():
    cell = "2=a/EdemaMask-CL.nii.gz;3=b c/ContrastEnhancedMask-CL.nii.gz"
    masks = split_masks(cell)
    assert masks == {2: "a/EdemaMask-CL.nii.gz", 3: "b c/ContrastEnhancedMask-CL.nii.gz"}
    assert join_masks(masks) == cell


@pytest.mark.parametrize("cell", ["seg.nii.gz", "/data/a=b/seg.nii.gz", "run=2_seg.nii.gz"])
def test_path_of_one_file_is_no_list_of_masks(cell):
    assert split_masks(cell) is None


@pytest.mark.parametrize("cell", ["2=a.nii;b.nii", "2=a.nii;2=b.nii"])
def test_broken_list_of_masks_is_refused(cell):
    with pytest.raises(ValueError, match="must be one file, or LABEL=file;LABEL=file"):
        split_masks(cell)


@pytest.mark.parametrize("scale", [1.0, 255.0, 0.001, 5000.0])
def test_scale_of_a_binary_mask_does_not_matter(scale):
    mask = np.array([0, 1e-4, 1, 0.9999]) * scale
    assert binary(mask).tolist() == [False, False, True, True]


def test_empty_mask_is_empty():
    assert not binary(np.zeros(3)).any()


@pytest.mark.parametrize("values", [[0, 1, 2, 4], [0, 0.5, 1.0]])
def test_labels_and_interpolated_masks_are_refused(values):
    with pytest.raises(ValueError, match="a binary mask holds two values"):
        binary(np.array(values, float))


def test_mask_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        binary(np.array([0, np.nan, 1]))


def test_later_mask_lies_on_top():
    arrays = {Path("a"): np.array([0, 1, 1]), Path("b"): np.array([0, 0, 1])}
    masks = {2: Path("a"), 3: Path("b")}
    assert combine(masks, arrays.__getitem__).tolist() == [0, 2, 3]


def test_file_of_a_bad_mask_is_named():
    with pytest.raises(ValueError, match=r"^bad\.nii: .*two values"):
        combine({1: Path("bad.nii")}, lambda path: np.array([0.0, 0.5, 1.0]))


def test_interpolated_brain_mask_ends_at_half():
    assert support(np.array([0, 0.2, 0.6, 1.0, np.nan])).tolist() == [0, 0, 1, 1, 0]

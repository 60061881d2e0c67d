"""Masks for the visits of a table that have none."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.manifest import read_manifest
from mechlearn.evaluation.visit_segmentation import segment_table
from mechlearn.records import CONTRASTS

AFFINE = np.array([[0, -1.5, 0, 90.0], [0, 0, 3.0, -9.0], [-1.5, 0, 0, 90.0], [0, 0, 0, 1]])
SHAPE = (60, 64, 52)  # inferior, right, anterior: an order that no slice is cut in


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two visits of a head with a spot that is bright in T2 and FLAIR; the second has a mask."""
    place = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    brain = (place**2 / np.array([26, 30, 24]).reshape(3, 1, 1, 1) ** 2).sum(0) < 1
    spot = ((place - np.array([2, 12, 3]).reshape(3, 1, 1, 1)) ** 2).sum(0) < 64
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    rows = [",".join(["patient,session,day,seg,label_scheme", *CONTRASTS])]
    for session, day, mask in (("v1", 0, ""), ("v2", 60, "2=v2-seg.nii.gz")):
        cells = ["P", session, str(day), mask, "brats2023" if mask else ""]
        for contrast in CONTRASTS:
            bright = {"t2w": 260, "t2f": 320}.get(contrast, -60)
            values = np.where(brain, 400 + noise + np.where(spot, bright, 0), 0)
            cells.append(f"{session}-{contrast}.nii.gz")
            nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), tmp_path / cells[-1])
        rows.append(",".join(cells))
    nib.save(nib.Nifti1Image((2 * spot).astype(np.uint8), AFFINE), tmp_path / "v2-seg.nii.gz")
    path = tmp_path / "visits.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_visit_without_a_mask_gets_one_on_its_own_grid(table: Path) -> None:
    made, found = segment_table(table, table.parent / "made")
    assert [v.session for v in found] == ["v1"]
    mask = nib.load(found[0].file)
    assert mask.shape == SHAPE
    np.testing.assert_allclose(mask.affine, AFFINE)
    volume = float((np.asarray(mask.dataobj) > 0).sum()) * 1.5 * 1.5 * 3 / 1000
    assert found[0].volume_ml == pytest.approx(volume)
    again = segment_table(table, table.parent / "made")[1][0]
    assert (again.volume_ml, again.remark) == (found[0].volume_ml, "made earlier, kept")
    first, second = read_manifest(made)
    assert (first.session, first.label_scheme) == ("v1", "brats2023")
    assert first.seg.samefile(found[0].file)
    assert second.seg.samefile(table.parent / "v2-seg.nii.gz")
    assert first.images["t2f"].samefile(table.parent / "v1-t2f.nii.gz")


def test_a_visit_that_lacks_a_contrast_is_named(table: Path) -> None:
    table.write_text(table.read_text().replace("v1-t1c.nii.gz", ""))
    with pytest.raises(ValueError, match=r"no t1c; the segmenter needs all of t1n, t1c, t2w, t2f"):
        segment_table(table, table.parent / "made")

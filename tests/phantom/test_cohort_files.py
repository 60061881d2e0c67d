"""A written phantom cohort: layout, geometry, reproducibility, resuming."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mechlearn.data.manifest import read_manifest
from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.difficulty import cohort_agreements, compare, table
from mechlearn.phantom.phantom_spec import PhantomSpec

SPEC = PhantomSpec(n_train=2, n_val=1, n_test=1, voxel_mm=4.0, dmg_share=0.0)
NAME = "MLP-GLI-00001"

pytestmark = pytest.mark.slow  # a few seconds a patient


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("phantom"), SPEC, patients=[NAME]).parent


def _load(root: Path, contrast: str, session: str = f"{NAME}-000") -> nib.Nifti1Image:
    return nib.load(root / session / f"{session}-{contrast}.nii.gz")


def test_manifest_reads_back_with_days(cohort: Path) -> None:
    records = read_manifest(cohort / "manifest.csv")
    assert [r.patient for r in records] == [NAME, NAME]
    assert records[0].day == 0
    assert records[1].day >= 30


def test_splits_name_the_patient(cohort: Path) -> None:
    assert json.loads((cohort / "splits.json").read_text()) == {NAME: "train"}


def test_images_are_int16_in_lps_with_the_spec_voxel(cohort: Path) -> None:
    image = _load(cohort, "t1n")
    assert image.get_data_dtype() == np.int16
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert image.header.get_zooms() == (4.0, 4.0, 4.0)


def test_contrasts_share_one_brain_and_hold_the_mask(cohort: Path) -> None:
    brains = [np.asarray(_load(cohort, c).dataobj) > 0 for c in ("t1n", "t1c", "t2w", "t2f")]
    assert all((b == brains[0]).all() for b in brains)
    assert not (np.asarray(_load(cohort, "seg").dataobj) > 0)[~brains[0]].any()


def test_brain_fits_the_model_grid_axially(cohort: Path) -> None:
    brain = np.asarray(_load(cohort, "t1n").dataobj) > 0
    for axis in (0, 1):
        found = np.flatnonzero(brain.any(tuple({0, 1, 2} - {axis})))
        assert (found[-1] - found[0] + 1) * 4.0 <= 192


def test_csf_is_dark_on_flair_and_bright_on_t2(cohort: Path) -> None:
    t2w, t2f = (np.asarray(_load(cohort, c).dataobj).astype(float) for c in ("t2w", "t2f"))
    healthy = (t2w > 0) & (np.asarray(_load(cohort, "seg").dataobj) == 0)
    fluid = healthy & (t2w > np.percentile(t2w[healthy], 98))
    assert t2f[fluid].mean() < 0.7 * t2f[healthy].mean()


def test_oedema_is_bright_on_flair(cohort: Path) -> None:
    t2f, seg = (np.asarray(_load(cohort, c).dataobj) for c in ("t2f", "seg"))
    assert t2f[seg == 2].mean() > 1.3 * t2f[(t2f > 0) & (seg == 0)].mean()


def test_same_seed_same_patient_in_any_company(cohort: Path, tmp_path: Path) -> None:
    wider = PhantomSpec(n_train=3, n_val=0, n_test=0, voxel_mm=4.0, dmg_share=0.0)
    write_cohort(tmp_path, wider, patients=[NAME])
    for contrast in ("t2f", "seg"):
        again, first = (np.asarray(_load(r, contrast).dataobj) for r in (tmp_path, cohort))
        np.testing.assert_array_equal(again, first)


def test_finished_patients_are_left_alone(cohort: Path) -> None:
    path = cohort / f"{NAME}-000" / f"{NAME}-000-seg.nii.gz"
    before = path.stat().st_mtime_ns
    write_cohort(cohort, SPEC, patients=[NAME])
    assert path.stat().st_mtime_ns == before


def test_other_spec_in_the_same_folder_is_refused(cohort: Path) -> None:
    with pytest.raises(ValueError, match="written with seed"):
        write_cohort(cohort, PhantomSpec(voxel_mm=4.0, dmg_share=0.0, seed=1), patients=[NAME])


def test_unknown_patient_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MLP-GLI-77777"):
        write_cohort(tmp_path, SPEC, patients=["MLP-GLI-77777"])


def test_calibration_reads_the_cohort(cohort: Path) -> None:
    rows = list(cohort_agreements(cohort, split="train"))
    assert all(r.factor > 1.1 for r in rows)
    assert table(rows).startswith("| growth |")


def test_dilation_of_a_disc_to_a_larger_disc_agrees() -> None:
    r, c = np.indices((60, 60)) - 30
    disc = [np.hypot(r, c) < radius for radius in (10, 15)]
    row = compare(*disc, np.ones((60, 60), bool), voxel_mm=1.0)
    assert row.dice_dilation > 0.97
    assert row.hd95_no_change == pytest.approx(5, abs=1)

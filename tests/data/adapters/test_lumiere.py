from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.adapters.lumiere import find_lumiere
from mechlearn.data.measured import check_measured_volumes

Files = Callable[..., Path]
STRIPPED = ("t1", "ct1", "t2", "flair")
ATLAS = "DeepBraTumIA-segmentation/atlas"


@pytest.fixture
def session(tmp_path: Path, files: Files) -> Callable[..., Path]:
    def make(week: str, *, patient: str = "Patient-001", without: str = "") -> Path:
        home = tmp_path / "Imaging" / patient / week
        files(home, "T1.nii.gz", "CT1.nii.gz", "T2.nii.gz", "FLAIR.nii.gz")
        names = [f"{s}_skull_strip.nii.gz" for s in STRIPPED if s != without]
        files(home / ATLAS / "skull_strip", *names, "brain_mask.nii.gz")
        kept = {"seg_mask.nii.gz", "measured_volumes_in_mm3.json"} - {without}
        files(home / ATLAS / "segmentation", *kept)
        return home

    return make


def test_atlas_images_are_read(session, tmp_path):
    home = session("week-000-1")
    (record,) = find_lumiere(tmp_path)
    assert record.images["t1c"] == home / ATLAS / "skull_strip" / "ct1_skull_strip.nii.gz"
    assert record.seg == home / ATLAS / "segmentation" / "seg_mask.nii.gz"
    assert (record.label_scheme, record.age_group) == ("lumiere", "adult")


def test_weeks_become_days_from_the_first_visit(session, tmp_path):
    for week in ("week-044", "week-003-2", "week-003-1", "week-100"):
        session(week)
    records = find_lumiere(tmp_path)
    assert [r.session for r in records] == ["week-003-1", "week-003-2", "week-044", "week-100"]
    assert [r.day for r in records] == [0, 1, 41 * 7, 97 * 7]


def test_session_without_segmentation_is_refused_by_name(session, tmp_path):
    session("week-000-1")
    session("week-044", without="seg_mask.nii.gz")
    message = r"(?s)1 visits.*week-044.*expected one file seg_mask.*data\.skip_bad=true"
    with pytest.raises(ValueError, match=message):
        find_lumiere(tmp_path)


def test_incomplete_session_is_left_out_where_that_was_asked(session, tmp_path):
    session("week-000-1")
    session("week-044", without="flair")
    missing: list[str] = []
    assert [r.session for r in find_lumiere(tmp_path, missing=missing)] == ["week-000-1"]
    assert "flair_skull_strip.nii.gz" in missing[0]


def test_missing_measured_volumes_are_refused(session, tmp_path):
    session("week-000-1", without="measured_volumes_in_mm3.json")
    with pytest.raises(ValueError, match="expected measured_volumes_in_mm3.json beside seg_mask"):
        find_lumiere(tmp_path)


def test_foreign_folder_is_refused(session, tmp_path, files):
    session("week-000-1")
    files(tmp_path / "Imaging" / "Patient-001" / "baseline")
    with pytest.raises(ValueError, match="baseline: found a folder that is no session; expected"):
        find_lumiere(tmp_path)


def measured(folder: Path, **volumes: float) -> Path:
    (folder / "measured_volumes_in_mm3.json").write_text(json.dumps(volumes))
    return folder / "seg_mask.nii.gz"


LABELS = np.repeat([0, 1, 2, 3], [50, 10, 20, 30])


def test_labels_with_their_measured_volumes_pass(tmp_path):
    seg = measured(
        tmp_path, Enhancing_Core=20.0, Necrotic_NonEnhancing=40.0, Edema_Compartment=60.0
    )
    check_measured_volumes(seg, LABELS, voxel_mm3=2.0)


def test_swapped_labels_are_refused_naming_both(tmp_path):
    seg = measured(tmp_path, Enhancing_Core=20, Necrotic_NonEnhancing=10, Edema_Compartment=30)
    message = (
        r"seg_mask\.nii\.gz: label 1 fills 10 mm3, but measured_volumes_in_mm3\.json beside it "
        r"says Enhancing_Core 20 mm3 \(label 2 has that volume\)"
    )
    with pytest.raises(ValueError, match=message):
        check_measured_volumes(seg, LABELS, voxel_mm3=1.0)


def test_unknown_compartment_is_refused(tmp_path):
    seg = measured(tmp_path, Enhancing_Core=10, Cyst=4)
    with pytest.raises(ValueError, match=r"found \['Cyst'\], expected Enhancing_Core"):
        check_measured_volumes(seg, LABELS, voxel_mm3=1.0)


DEMOGRAPHICS = ("Patient", "Sex", "Age at surgery (years)", "IDH (WT: wild type)",
                "MGMT qualitative")  # fmt: skip


def test_covariates_are_read_where_the_table_is_there(session, tmp_path, table):
    session("week-000-1")
    rows = [DEMOGRAPHICS, ("Patient-001", "female", "57", "R132H mut", "not methylated")]
    table(tmp_path / "LUMIERE-Demographics_Pathology.csv", rows, joint=",")
    (record,) = find_lumiere(tmp_path)
    assert dict(record.covariates) == {
        "sex": "female", "age": "57", "idh": "mutant", "mgmt": "not methylated"
    }  # fmt: skip


def test_without_the_table_nothing_is_known(session, tmp_path):
    session("week-000-1")
    assert not find_lumiere(tmp_path)[0].covariates

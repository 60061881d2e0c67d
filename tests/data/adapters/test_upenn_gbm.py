from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mechlearn.data.adapters.upenn_gbm import find_upenn_gbm

CASES = ("UPENN-GBM-00001_11", "UPENN-GBM-00002_11", "UPENN-GBM-00002_21")
CLINICAL = "UPENN-GBM_clinical_info_v2.1.csv"


@pytest.fixture
def cohort(tmp_path: Path, files) -> Path:
    """Of three scans an expert drew one, and networks two."""
    for case in CASES:
        names = [f"{case}_{s}" for s in ("T1", "T1GD", "T2", "FLAIR")]
        files(tmp_path / "images_structural" / case, *(f"{n}.nii.gz" for n in names))
        unstripped = (f"{n}_unstripped.nii.gz" for n in names)
        files(tmp_path / "images_structural_unstripped" / case, *unstripped)
    files(tmp_path / "images_segm", f"{CASES[0]}_segm.nii.gz")
    automated = (f"{case}_automated_approx_segm.nii.gz" for case in CASES[:2])
    files(tmp_path / "automated_segm", *automated)
    return tmp_path


def test_scans_that_an_expert_segmented(cohort, caplog):
    with caplog.at_level(logging.INFO):
        (record,) = find_upenn_gbm(cohort)
    assert (record.patient, record.session, record.day) == ("UPENN-GBM-00001", "11", None)
    assert record.images["t1c"].name == "UPENN-GBM-00001_11_T1GD.nii.gz"
    assert "1 of 3 scans are segmented" in caplog.text


def test_automated_segmentations_where_that_was_asked(cohort):
    names = [r.seg.name for r in find_upenn_gbm(cohort, automated=True)]
    assert names == [
        "UPENN-GBM-00001_11_segm.nii.gz", "UPENN-GBM-00002_11_automated_approx_segm.nii.gz",
    ]  # fmt: skip


def test_follow_up_is_dated_by_the_clinical_table(cohort, files, table):
    files(cohort / "images_segm", "UPENN-GBM-00002_11_segm.nii.gz", f"{CASES[2]}_segm.nii.gz")
    rows = [("ID", "Time_since_baseline_preop"), (CASES[0], 0), (CASES[1], 0), (CASES[2], 212)]
    table(cohort / CLINICAL, rows, joint=",")
    assert [(r.name, r.day) for r in find_upenn_gbm(cohort)][1:] == [
        ("UPENN-GBM-00002/11", 0), ("UPENN-GBM-00002/21", 212),
    ]  # fmt: skip


def test_scan_that_is_not_in_the_table_is_refused(cohort, table):
    table(cohort / CLINICAL, [("ID", "Time_since_baseline_preop"), ("x", 0)], joint=",")
    with pytest.raises(ValueError, match="UPENN-GBM-00001_11 has no Time_since_baseline_preop"):
        find_upenn_gbm(cohort)


def test_folder_without_segmentations_is_refused(cohort):
    with pytest.raises(ValueError, match="expected images_structural.*found 3 scans, none"):
        find_upenn_gbm(cohort / "images_structural")

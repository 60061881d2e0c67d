from __future__ import annotations

from pathlib import Path

import pytest

from mechlearn.data.adapters.rhuh_gbm import find_rhuh_gbm

PARTS = ("t1", "t1ce", "t2", "flair", "adc", "segmentations")


@pytest.fixture
def patient(tmp_path: Path, files):
    for n in "012":
        files(tmp_path / "RHUH-0001" / n, *(f"RHUH-0001_{n}_{p}.nii.gz" for p in PARTS))
    (tmp_path / "clinical_data_TCIA_RHUH-GBM.csv").touch()
    return tmp_path


def test_three_time_points_in_order_without_days(patient):
    records = find_rhuh_gbm(patient)
    assert [(r.patient, r.session, r.day) for r in records] == [
        ("RHUH-0001", n, None) for n in "012"
    ]


def test_labels_are_one_two_three_unless_told_otherwise(patient):
    assert find_rhuh_gbm(patient)[0].label_scheme == "brats2023"
    assert find_rhuh_gbm(patient, label_scheme="brats2021")[0].label_scheme == "brats2021"


def test_foreign_folder_is_refused(patient, files):
    files(patient / "RHUH-0001" / "follow-up")
    with pytest.raises(ValueError, match="follow-up: found a folder that is no time point"):
        find_rhuh_gbm(patient)


def test_missing_segmentation_is_refused(patient):
    (patient / "RHUH-0001" / "1" / "RHUH-0001_1_segmentations.nii.gz").unlink()
    with pytest.raises(ValueError, match=r"RHUH-0001_1_segmentations\.nii\.gz .*found 0"):
        find_rhuh_gbm(patient)


def test_packed_and_unpacked_file_together_are_refused(patient):
    (patient / "RHUH-0001" / "1" / "RHUH-0001_1_t1.nii").touch()
    with pytest.raises(ValueError, match="expected one file for t1n, found 2"):
        find_rhuh_gbm(patient)

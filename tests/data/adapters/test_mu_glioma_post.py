from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.data.adapters.mu_glioma_post import find_mu_glioma_post
from mechlearn.data.patients import patients_of_records
from mechlearn.records import Patient, Treatment

PARTS = ("brain_t1n", "brain_t1c", "brain_t2w", "brain_t2f", "tumorMask")
DAYS = (
    "Number of Days from Diagnosis to 1st MRI (Timepoint_1) ",
    "Number of Days from Diagnosis to 2nd MRI (Timepoint_2) ",
    " Number of Days from  Diagnosis to 3rd MRI (Timepoint_3)",
)
HEADER = (
    "Patient_ID ", "Radiation Therapy",
    "Number of days from Diagnosis to Radiation Therapy Start date",
    " Number of days from Diagnosis to Radiation Therapy end date ", "Dose", "Number of Fractions ",
    "Number of days from Diagnosis to First surgery or procedure ", *DAYS,
)  # fmt: skip
PATIENT = "PatientID_0003"


@pytest.fixture
def cohort(tmp_path: Path, files, workbook) -> Callable[..., Path]:
    def make(
        *rows: tuple, points: tuple[int, ...] = (1, 2, 3), header: tuple = HEADER, without: str = ""
    ) -> Path:
        for n in points:
            stem = f"{PATIENT}_Timepoint_{n}"
            names = [f"{stem}_{part}.nii.gz" for part in PARTS]
            home = tmp_path / "MU-Glioma-Post" / PATIENT / f"Timepoint_{n}"
            files(home, *(name for name in names if name != without))
        sheets = {"Dictionary": [("Column", "Meaning")], "MU Glioma Post": [header, *rows]}
        workbook(tmp_path / "MU-Glioma-Post_ClinicalData-July2025.xlsx", sheets)
        return tmp_path

    return make


def row(*days: object, rt: tuple[object, object] = (50, 92), dose: object = 60) -> tuple:
    return (PATIENT, "Yes", *rt, dose, 30, 10, *days)


def test_headers_with_stray_spaces_are_understood(cohort):
    records = find_mu_glioma_post(cohort(row(40, 140, 240)))
    assert [r.day for r in records] == [0, 100, 200]


def test_time_points_are_sorted_by_day_and_not_by_number(cohort):
    records = find_mu_glioma_post(cohort(row(240, 40, 140)))
    assert [r.session for r in records] == ["Timepoint_2", "Timepoint_3", "Timepoint_1"]
    assert [r.day for r in records] == [0, 100, 200]


def test_treatment_counts_from_the_first_visit_and_not_from_the_diagnosis(cohort):
    record = find_mu_glioma_post(cohort(row(40, 140, 240)))[0]
    assert (record.rt_start_day, record.rt_end_day, record.surgery_day) == (10, 52, -30)
    assert (record.dose_gy, record.fractions) == (60, 30)


@pytest.mark.parametrize(("cell", "gy"), [("60 Gy", 60), ("5940 cGy", 59.4), (" 40.05", 40.05)])
def test_dose_may_name_its_unit(cohort, cell, gy):
    assert find_mu_glioma_post(cohort(row(40, 140, 240, dose=cell)))[0].dose_gy == gy


@pytest.mark.parametrize("cell", ["N/A", None, "Unknown", " none "])
def test_cells_that_say_nothing_are_empty(cohort, cell):
    assert find_mu_glioma_post(cohort(row(40, 140, 240, dose=cell)))[0].dose_gy is None


def test_unreadable_dose_is_refused_with_its_place(cohort):
    with pytest.raises(ValueError, match=r"sheet MU Glioma Post, row 2: Dose='60 in 2 courses'"):
        find_mu_glioma_post(cohort(row(40, 140, 240, dose="60 in 2 courses")))


def test_radiotherapy_that_ends_before_it_starts_is_refused(cohort):
    with pytest.raises(ValueError, match="PatientID_0003 in the table: rt_end_day=50: must not"):
        find_mu_glioma_post(cohort(row(40, 140, 240, rt=(92, 50))))


def test_scan_without_a_day_is_refused_where_others_have_one(cohort):
    with pytest.raises(ValueError, match="Timepoint_2 has no day in the table"):
        find_mu_glioma_post(cohort(row(40, None, 240)))


def test_patient_without_any_day_keeps_the_scans_and_loses_the_treatment_days(cohort):
    records = find_mu_glioma_post(cohort(row(None, None, None)))
    assert [(r.day, r.rt_start_day, r.surgery_day) for r in records] == [(None, None, None)] * 3


def test_scan_without_a_mask_is_left_out_where_that_was_asked(cohort):
    root = cohort(row(40, 140, 240), without=f"{PATIENT}_Timepoint_1_tumorMask.nii.gz")
    missing: list[str] = []
    records = find_mu_glioma_post(root, missing=missing)
    assert [(r.session, r.day) for r in records] == [("Timepoint_2", 0), ("Timepoint_3", 100)]
    assert "tumorMask" in missing[0]


def test_missing_table_is_named(tmp_path, files):
    files(tmp_path / PATIENT / "Timepoint_1")
    with pytest.raises(FileNotFoundError, match="MU-Glioma-Post_ClinicalData.*data.tables=FILE"):
        find_mu_glioma_post(tmp_path)


def test_table_of_another_data_set_is_refused_with_its_sheets(cohort):
    root = cohort(("x", 1), header=("Case", "Age"))
    with pytest.raises(ValueError, match=r"no sheets have the columns.*'MU Glioma Post': \['Case'"):
        find_mu_glioma_post(root)


def test_table_without_its_columns_of_radiotherapy_is_refused(cohort):
    renamed = tuple("RT start" if "Start date" in name else name for name in HEADER)
    with pytest.raises(ValueError, match="no sheets have the columns .*Start date"):
        find_mu_glioma_post(cohort(row(40, 140, 240), header=renamed))


THERAPY = (
    "Age at diagnosis", "Sex at Birth", "Grade of Primary Brain Tumor", "IDH1 mutation",
    "IDH2 mutation", "MGMT methylation",
    " Number of days from Diagnosis to Initial Chemo Therapy Start date",
    " Number of days from Diagnosis to Initial Chemo Therapy end date",
    "Number of Days from Diagnosis to Starting Additional Therapy ",
    "Number of Days from Diagnosis to Start Immunotherapy ",
)  # fmt: skip


def patient_of(cohort, *cells: object) -> Patient:
    root = cohort((*row(40, 140, 240), *cells), header=(*HEADER, *THERAPY))
    (patient,) = patients_of_records(find_mu_glioma_post(root), where="here")
    return patient


def test_covariates_and_treatments_reach_the_patient(cohort):
    patient = patient_of(cohort, 61, "Female", "Grade 4", 1, 0, 1, 50, 92, 120, None)
    assert dict(patient.covariates) == {
        "age_group": "adult", "age": "61", "sex": "Female", "grade": "4", "idh": "mutant",
        "mgmt": "methylated",
    }  # fmt: skip
    assert patient.treatments == (
        Treatment("surgery", -30), Treatment("chemotherapy", 10, 52), Treatment("chemotherapy", 80)
    )  # fmt: skip


def test_codes_for_unknown_are_no_covariates(cohort):
    patient = patient_of(cohort, None, "Male", None, 2, 2, 4, None, None, None, None)
    assert dict(patient.covariates) == {"age_group": "adult", "sex": "Male"}


def test_chemotherapy_that_ends_before_it_starts_keeps_its_start(cohort, caplog):
    patient = patient_of(cohort, 61, "Female", 4, 0, 0, 0, 92, 50, None, None)
    assert patient.treatments[1:] == (Treatment("chemotherapy", 52),)
    assert "Initial Chemo Therapy end date" in caplog.text

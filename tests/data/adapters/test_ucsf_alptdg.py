from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.data.adapters.ucsf_alptdg import find_ucsf_alptdg

PARTS = ("t1", "t1ce", "t2", "flair", "seg", "t1ce-t1")
HEADER = (
    "SubjectID", "Days from 1st surgery/DX  to 1st scan", " Days from 1st scan to  2nd scan ",
    "Days from 1st scan to 1st RT start (neg = RT first)",
)  # fmt: skip
TABLE = "UCSF_PostopGlioma_Table S1 R1 V5.0_UNBLINDED_FINAL.xlsx"


@pytest.fixture
def cohort(tmp_path: Path, files, workbook) -> Callable[..., Path]:
    def make(
        *rows: tuple, patients: tuple[str, ...] = ("100001",), without: str = "",
        header: tuple[str, ...] = HEADER,
    ) -> Path:
        for patient in patients:
            names = [f"{patient}_time{t}_{p}.nii.gz" for t in (1, 2) for p in PARTS]
            names += [f"{patient}_flair_subtraction_seg.nii.gz"]
            files(tmp_path / patient, *(n for n in names if n != without))
        shown = [("SubjectID", "Timepoint"), (100001, 1)]
        workbook(tmp_path / TABLE, {"UCSF-LPTDG": shown, "Clinical Info": [header, *rows]})
        return tmp_path

    return make


def test_second_scan_is_dated_by_the_table(cohort):
    records = find_ucsf_alptdg(cohort((100001, 300, 64.9375, -40), (None, None)))
    assert [(r.session, r.day) for r in records] == [("time1", 0), ("time2", 64.9375)]


def test_label_four_is_the_cavity(cohort):
    records = find_ucsf_alptdg(cohort((100001, 300, 64, -40)))
    assert {r.label_scheme for r in records} == {"brats2024"}


@pytest.mark.parametrize(("sign", "start"), [("", None), ("header", -40), ("dictionary", 40)])
def test_contradictory_column_is_read_only_as_told(cohort, sign, start):
    records = find_ucsf_alptdg(cohort((100001, 300, 64, -40)), rt_sign=sign)
    assert {r.rt_start_day for r in records} == {start}


def test_start_of_radiotherapy_in_another_century_is_refused(cohort):
    with pytest.raises(ValueError, match="328372: more than a century"):
        find_ucsf_alptdg(cohort((100001, 300, 64, 328372)), rt_sign="header")


def test_unknown_sign_is_refused(cohort):
    with pytest.raises(ValueError, match="rt_sign='minus': must be one of"):
        find_ucsf_alptdg(cohort((100001, 300, 64, 0)), rt_sign="minus")


def test_patient_who_is_not_in_the_table_is_refused(cohort):
    root = cohort((100001, 300, 64, 0), patients=("100001", "100002"))
    with pytest.raises(ValueError, match="patient 100002 is not in .*Table S1"):
        find_ucsf_alptdg(root)


def test_patient_of_the_table_without_a_folder_is_no_fault(cohort):
    assert len(find_ucsf_alptdg(cohort((100001, 300, 64, 0), (100009, 3, 9, 0)))) == 2


def test_patient_twice_in_the_table_is_refused(cohort):
    with pytest.raises(ValueError, match="row 3: SubjectID=100001 stands twice"):
        find_ucsf_alptdg(cohort((100001, 300, 64, 0), (100001, 300, 70, 0)))


@pytest.mark.parametrize("between", [None, 0, -5])
def test_days_between_scans_must_be_positive(cohort, between):
    with pytest.raises(ValueError, match=r"row 2: 'Days from 1st scan to 2nd scan'=.*positive"):
        find_ucsf_alptdg(cohort((100001, 300, between, 0)))


def test_missing_table_is_named(tmp_path, files):
    files(tmp_path / "100001", "100001_time1_t1.nii.gz")
    with pytest.raises(FileNotFoundError, match="found no UCSF_PostopGlioma.*data.tables=FILE"):
        find_ucsf_alptdg(tmp_path)


def test_table_may_lie_elsewhere(cohort, tmp_path_factory):
    root = cohort((100001, 300, 64, 0))
    elsewhere = tmp_path_factory.mktemp("tables")
    (root / TABLE).rename(elsewhere / TABLE)
    assert len(find_ucsf_alptdg(root, tables=elsewhere)) == 2


def test_missing_contrast_is_refused_with_found_and_expected(cohort):
    root = cohort((100001, 300, 64, 0), without="100001_time2_t2.nii.gz")
    with pytest.raises(
        ValueError, match=r"100001_time2_t2\.nii\.gz.*for t2w, found 0.*time1_flair"
    ):
        find_ucsf_alptdg(root)


def test_grade_idh_mgmt_and_diagnosis_are_read(cohort):
    header = (*HEADER, "WHO 2021 Diagnosis", "Grade", "MGMT", "IDH")
    root = cohort((100001, 300, 64, -40, "Oligodendroglioma", 3.0, None, "mut"), header=header)
    assert dict(find_ucsf_alptdg(root)[1].covariates) == {
        "diagnosis": "Oligodendroglioma", "grade": "3", "idh": "mut"
    }  # fmt: skip

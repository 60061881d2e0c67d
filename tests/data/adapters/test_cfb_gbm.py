from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mechlearn.data.adapters.cfb_gbm import find_cfb_gbm

SCANS = ("id_patient", "temporality", "time_diff_t0 (weeks)", "t1gd", "flair")
THERAPY = ("id_patient", "delay_t0_to_radiotherapy (weeks)", "dose (Gy)", "fractions_number")
WEEKS = ((15, "t0", 0, 1, 1), (15, "t2", 25, 1, 0), (15, "t1", 12, 1, 0))


@pytest.fixture
def cohort(tmp_path: Path, files, table) -> Callable[..., Path]:
    def make(
        weeks: tuple = WEEKS,
        therapy: tuple = ((15, 3, 60, 30),),
        *,
        times: tuple[str, ...] = ("t0", "t1", "t2"),
        version: str = "v03_20260301",
        without: str = "",
    ) -> Path:
        for time in times:
            names = {f"15_{time}_{part}.nii.gz" for part in ("t1gd", "gtv", "brain_mask", "t1")}
            files(tmp_path / "data" / "015" / time, *(names - {without}))
            if time == "t0":
                files(tmp_path / "data" / "015" / "t0" / "flair", "15_t0_flair.nii.gz")
        files(tmp_path / "data" / "015" / "rt", "15_RTDOSE.nii.gz", "15_CT.nii.gz")
        table(tmp_path / f"CFB-GBM_mri_availability_{version}.tsv", [SCANS, *weeks])
        table(tmp_path / f"CFB-GBM_treatment_data_{version}.tsv", [THERAPY, *therapy])
        return tmp_path

    return make


def test_weeks_become_days_in_order(cohort):
    records = find_cfb_gbm(cohort())
    assert [(r.session, r.day) for r in records] == [("t0", 0), ("t1", 84), ("t2", 175)]


def test_radiotherapy_is_read_in_days_and_gray(cohort):
    record = find_cfb_gbm(cohort())[0]
    assert (record.rt_start_day, record.rt_end_day) == (21, None)
    assert (record.dose_gy, record.fractions) == (60, 30)


def test_days_count_from_the_first_visit_there_is(cohort):
    records = find_cfb_gbm(cohort(times=("t1", "t2")))
    assert [(r.day, r.rt_start_day) for r in records] == [(0, 21 - 84), (91, 21 - 84)]


def test_target_volume_is_a_binary_mask_and_the_brain_mask_is_kept(cohort):
    record = find_cfb_gbm(cohort())[0]
    assert (record.label_scheme, list(record.masks)) == ("gtv", [1])
    assert record.brain_mask is not None
    assert record.brain_mask.name == "15_t0_brain_mask.nii.gz"


def test_contrasts_are_those_that_are_there(cohort):
    records = find_cfb_gbm(cohort())
    assert [sorted(r.images) for r in records] == [["t1c", "t2f"], ["t1c"], ["t1c"]]


def test_newest_version_of_a_table_is_read(cohort, table):
    root = cohort()
    newer = ((15, "t0", 0, 1, 1), (15, "t1", 13, 1, 0), (15, "t2", 26, 1, 0))
    table(root / "CFB-GBM_mri_availability_v04_20260911.tsv", [SCANS, *newer])
    assert [r.day for r in find_cfb_gbm(root)] == [0, 91, 182]


def test_later_date_of_one_version_is_newer(cohort, table):
    root = cohort()
    newer = ((15, "t0", 0, 1, 1), (15, "t1", 13, 1, 0), (15, "t2", 26, 1, 0))
    table(root / "CFB-GBM_mri_availability_v03_20260911.tsv", [SCANS, *newer])
    assert find_cfb_gbm(root)[1].day == 91


def test_two_tables_of_one_version_are_refused(cohort, table):
    root = cohort()
    table(root / "copy" / "CFB-GBM_mri_availability_v03_20260301.tsv", [SCANS, *WEEKS])
    with pytest.raises(ValueError, match="two tables of CFB-GBM_mri_availability of the same"):
        find_cfb_gbm(root)


@pytest.mark.parametrize("name", ["mri_availability", "treatment_data"])
def test_missing_table_is_named(cohort, name):
    root = cohort()
    (root / f"CFB-GBM_{name}_v03_20260301.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=f"CFB-GBM_{name}_v.*data.tables=FOLDER"):
        find_cfb_gbm(root)


def test_scan_without_a_week_is_refused(cohort):
    with pytest.raises(ValueError, match="t1 has no week in CFB-GBM_mri_availability"):
        find_cfb_gbm(cohort(WEEKS[:2]))


def test_patient_without_treatment_data_is_refused(cohort):
    with pytest.raises(ValueError, match="patient 15 is not in the treatment data"):
        find_cfb_gbm(cohort(therapy=((16, 3, 60, 30),)))


def test_scan_without_target_volume_is_refused(cohort):
    with pytest.raises(ValueError, match=r"t1 has no gtv; expected.*found \['15_t1_brain_mask"):
        find_cfb_gbm(cohort(without="15_t1_gtv.nii.gz"))


def test_file_of_another_patient_is_refused(cohort, files):
    root = cohort()
    files(root / "data" / "015" / "t0", "16_t0_gtv.nii.gz")
    with pytest.raises(ValueError, match="a file of patient 16 in the folder 015"):
        find_cfb_gbm(root)


def test_age_and_sex_are_read_where_the_table_is_there(cohort, table):
    root = cohort()
    rows = [("id_patient", "age_at_t0 (years)", "gender"), (15, 64, "M")]
    table(root / "CFB-GBM_clinical_data_v03_20260619.tsv", rows)
    assert {tuple(r.covariates.items()) for r in find_cfb_gbm(root)} == {
        (("age", "64"), ("sex", "M"))
    }  # fmt: skip

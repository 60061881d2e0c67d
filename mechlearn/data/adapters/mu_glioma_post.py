"""MU-Glioma-Post (TCIA, doi 10.7937/7K9K-3C83) -> visit records.

PatientID_0003/Timepoint_1/PatientID_0003_Timepoint_1_{brain_t1n,brain_t1c,brain_t2w,brain_t2f,
tumorMask}.nii.gz, and MU-Glioma-Post_ClinicalData-*.xlsx: days from the diagnosis to each scan, to
surgery, to the start and end of radiotherapy, chemotherapy and immunotherapy; dose, fractions, age,
sex, diagnosis, grade, IDH1 and IDH2 (0 wild type, 1 mutant, 2 unknown) and MGMT (0 unmethylated, 1
methylated, others unknown). Its headers have stray spaces.

Labels as in BraTS 2024. Time points are put in the order of their days, which is not always that of
their numbers. Two of the 596 scans have no mask, and some have no day. Many of the scans stand in
BraTS 2024 as well, under other names: not a test set for a model trained on that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mechlearn.data.adapters.cohort_tables import (
    covariates_of,
    dose_gy,
    find_table,
    header,
    keyed,
    read_sheet,
    therapy_days,
)
from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.tables import Row, number, whole_number

__all__ = ["find_mu_glioma_post"]

PATIENT = re.compile(r"PatientID_\d{4}")
SESSION = re.compile(r"Timepoint_(\d+)")
STEMS = {"t1n": "brain_t1n", "t1c": "brain_t1c", "t2w": "brain_t2w", "t2f": "brain_t2f"}
SUBJECT = "Patient_ID"
FIRST_SCAN = "Number of Days from Diagnosis to 1st MRI (Timepoint_1)"
DAY = re.compile(r"number of days from diagnosis to .* mri \(timepoint_(\d+)\)")
RT_START = "Number of days from Diagnosis to Radiation Therapy Start date"
RT_END = "Number of days from Diagnosis to Radiation Therapy end date"
SURGERY = "Number of days from Diagnosis to First surgery or procedure"
DOSE, FRACTIONS = "Dose", "Number of Fractions"
COVARIATES = {
    "age": "Age at diagnosis", "sex": "Sex at Birth", "diagnosis": "Primary Diagnosis",
    "grade": "Grade of Primary Brain Tumor",
}  # fmt: skip
IDH, MGMT = ("IDH1 mutation", "IDH2 mutation"), "MGMT methylation"
BETWEEN = "Number of days from Diagnosis to"
THERAPIES = {
    "chemo_start_day": f"{BETWEEN} Initial Chemo Therapy Start date",
    "chemo_end_day": f"{BETWEEN} Initial Chemo Therapy end date",
    "adjuvant_chemo_start_day": f"{BETWEEN} Starting Additional Therapy",
    "adjuvant_chemo_end_day": f"{BETWEEN} Complete Additional Therapy",
    "immunotherapy_start_day": f"{BETWEEN} Start Immunotherapy",
    "immunotherapy_end_day": f"{BETWEEN} Complete Immunotherapy",
    "other_start_day": f"{BETWEEN} Start Other Additional Therapy",
    "other_end_day": f"{BETWEEN} Complete Other Additional Therapy",
}
REQUIRED = (SUBJECT, FIRST_SCAN, RT_START, RT_END, DOSE, FRACTIONS)  # else treatment would be lost
EXPECTED = (
    "expected PatientID_NNNN/Timepoint_N/PatientID_NNNN_Timepoint_N_{brain_t1n,brain_t1c,"
    "brain_t2w,brain_t2f,tumorMask}.nii.gz"
)


def find_mu_glioma_post(
    root: Roots,
    *,
    tables: Roots | None = None,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
) -> list[VisitRecord]:
    """Find the time points of each patient, by day.

    Args:
        root: the folder with the patients' folders, or one above it; or several.
        tables: the clinical data or their folder; None looks below `root`.
        label_scheme: None for `brats2024`.
        missing: None refuses time points without one of their files or their day; a list takes
            their messages, and they are left out.

    Raises:
        FileNotFoundError: no such folder, no table.
        ValueError: no patient, a missing file, a patient who is not in the table, a cell that is
            no number, radiotherapy that ends before it starts.
    """
    scheme = checked_scheme(label_scheme, "brats2024")
    tree = walk(root, _is_case, what="MU-Glioma-Post", expected=EXPECTED)
    pattern = r"MU-Glioma-Post_ClinicalData"
    table = find_table(tables, tree.loose, pattern=pattern, what="MU-Glioma-Post")
    if table is None:
        raise FileNotFoundError(
            f"{root}: found no {pattern}*.xlsx, which has the days of the scans and of "
            "radiotherapy. Give it with data.tables=FILE."
        )
    rows = keyed(read_sheet(table, required=REQUIRED), SUBJECT)
    gaps, records = Gaps(missing), []
    for case in tree.cases:
        with gaps.catch(case):
            if case.name not in rows:
                raise ValueError(f"{case}: patient {case.name} is not in {table}.")
            days, treatment = _days(rows[case.name]), _treatment(rows[case.name])
            for session in sorted(p for p in case.iterdir() if p.is_dir()):
                with gaps.catch(session):
                    records.append(_record(session, scheme, days, treatment))
    return finish(records, gaps, what="MU-Glioma-Post")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _days(found: Row) -> dict[int, float | None]:
    where, row = found
    matches = {column: DAY.fullmatch(column) for column in row}
    return {int(m[1]): number(where, c, row[c]) for c, m in matches.items() if m}


def _treatment(found: Row) -> dict[str, Any]:
    where, row = found

    def cell(name: str) -> str:
        return row.get(header(name), "")

    return {
        "rt_start_day": number(where, RT_START, cell(RT_START)),
        "rt_end_day": number(where, RT_END, cell(RT_END)),
        "surgery_day": number(where, SURGERY, cell(SURGERY)),
        "dose_gy": dose_gy(where, DOSE, cell(DOSE)),
        "fractions": whole_number(where, FRACTIONS, cell(FRACTIONS)),
        "covariates": covariates_of(row, COVARIATES) | _molecular(cell(MGMT), *map(cell, IDH)),
        "treatment_days": therapy_days(where, row, THERAPIES),
    }


def _molecular(mgmt: str, *idh: str) -> dict[str, str]:
    """IDH is mutant where one gene is, and wild type where the first is known not to be."""
    found = {"0": "unmethylated", "1": "methylated"}.get(mgmt)
    state = "mutant" if "1" in idh else "wildtype" if idh[0] == "0" else None
    return {k: v for k, v in (("mgmt", found), ("idh", state)) if v is not None}


def _record(
    folder: Path, scheme: str, days: dict[int, float | None], treatment: dict[str, Any]
) -> VisitRecord:
    match = SESSION.fullmatch(folder.name)
    if match is None:
        raise ValueError(f"{folder}: found a folder that is no time point; {EXPECTED}.")
    patient, stem = folder.parent.name, f"{folder.parent.name}_{folder.name}"
    images = {c: one_file(folder, f"{stem}_{s}", key=c) for c, s in STEMS.items()}
    seg = one_file(folder, f"{stem}_tumorMask", key="seg")
    try:
        return VisitRecord(
            patient=f"MU-{patient}",
            session=folder.name,
            images=images,
            seg=seg,
            label_scheme=scheme,
            day=days.get(int(match[1])),
            source="MU-Glioma-Post",
            age_group="adult",
            **treatment,
        )
    except ValueError as error:
        raise ValueError(f"{folder}: {patient} in the table: {error}") from error

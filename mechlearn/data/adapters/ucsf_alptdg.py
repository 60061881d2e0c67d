"""UCSF-ALPTDG (Fields et al., Radiology: AI 2024) -> visit records.

100001/100001_time{1,2}_{t1,t1ce,t2,flair,seg}.nii.gz, and an Excel file (UCSF_PostopGlioma_Table
S1 ...) whose sheet `Clinical Info` says how many days lie between the two scans, and diagnosis,
grade, IDH and MGMT.

Labels: 1 core, 2 surrounding FLAIR hyperintensity, 3 enhancing, 4 resection cavity; the table's
volumes are not read. Two of the table's columns contradict themselves: the header of the start of
radiotherapy says "neg = RT first", the sheet's own dictionary the opposite, so that it is only read
with `rt_sign`; the days from "surgery/DX" are not said to be those of a surgery and are not read.

Most of the scans stand in BraTS 2024 as well, under other names: not a test set for a model trained
on that.
"""

from __future__ import annotations

import re
from pathlib import Path

from mechlearn.checks import one_of
from mechlearn.data.adapters.cohort_tables import (
    covariates_of,
    find_table,
    header,
    keyed,
    read_sheet,
)
from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.tables import Row, number

__all__ = ["find_ucsf_alptdg"]

PATIENT = re.compile(r"\d{6}")
STEMS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
SUBJECT, BETWEEN = "SubjectID", "Days from 1st scan to 2nd scan"
RT_START = "Days from 1st scan to 1st RT start (neg = RT first)"
PLAUSIBLE_DAYS = 36525.0  # a century; the table holds 328,372
COVARIATES = {"diagnosis": "WHO 2021 Diagnosis", "grade": "Grade", "mgmt": "MGMT", "idh": "IDH"}
RT_SIGNS = {"": 0.0, "header": 1.0, "dictionary": -1.0}
EXPECTED = (
    "expected folders NNNNNN with NNNNNN_time1_ and NNNNNN_time2_{t1,t1ce,t2,flair,seg}.nii.gz"
)


def find_ucsf_alptdg(
    root: Roots,
    *,
    tables: Roots | None = None,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
    rt_sign: str = "",
) -> list[VisitRecord]:
    """Find both scans of each patient; the first is day 0.

    Args:
        root: the folder with the patients' folders, or one above it; or several.
        tables: the Excel file or its folder; None looks below `root`.
        label_scheme: None for `brats2024`.
        missing: None refuses scans without one of their files or days; a list takes their
            messages, and they are left out.
        rt_sign: `header` reads the start of radiotherapy as days after the first scan, `dictionary`
            as days before it; '' does not read it.

    Raises:
        FileNotFoundError: no such folder, no table.
        ValueError: no patient, a missing file, a patient who is not in the table, days that are no
            positive number.
    """
    one_of("data.options.rt_sign", rt_sign, tuple(RT_SIGNS))
    scheme = checked_scheme(label_scheme, "brats2024")
    tree = walk(root, _is_case, what="UCSF-ALPTDG", expected=EXPECTED)
    table = find_table(tables, tree.loose, pattern="UCSF_PostopGlioma", what="UCSF-ALPTDG")
    if table is None:
        raise FileNotFoundError(
            f"{root}: found no UCSF_PostopGlioma_Table*.xlsx, which has the days between the "
            "scans. Give it with data.tables=FILE."
        )
    required = [SUBJECT, BETWEEN, *([RT_START] if rt_sign else [])]
    rows = keyed(read_sheet(table, required=required), SUBJECT)
    gaps, records = Gaps(missing), []
    for case in tree.cases:
        with gaps.catch(case):
            day, rt_start = _days(case, rows, table, rt_sign)
            known = covariates_of(rows[case.name][1], COVARIATES)
            for session, when in (("time1", 0.0), ("time2", day)):
                with gaps.catch(case):
                    records.append(_record(case, session, scheme, when, rt_start, known))
    return finish(records, gaps, what="UCSF-ALPTDG")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _days(
    case: Path, rows: dict[str, Row], table: Path, rt_sign: str
) -> tuple[float, float | None]:
    if case.name not in rows:
        raise ValueError(f"{case}: patient {case.name} is not in {table}.")
    where, row = rows[case.name]
    day = number(where, BETWEEN, row[header(BETWEEN)])
    if day is None or day <= 0:
        raise ValueError(f"{where}: {BETWEEN!r}={day}: must be a positive number of days.")
    sign = RT_SIGNS[rt_sign]
    start = number(where, RT_START, row[header(RT_START)]) if sign else None
    if start is not None and abs(start) > PLAUSIBLE_DAYS:
        raise ValueError(f"{where}: {RT_START!r}={start:g}: more than a century.")
    return day, None if start is None else sign * start


def _record(
    case: Path, session: str, scheme: str, day: float, rt_start: float | None,
    covariates: dict[str, str],
) -> VisitRecord:
    stem = f"{case.name}_{session}"
    return VisitRecord(
        patient=f"UCSF-{case.name}",
        session=session,
        images={c: one_file(case, f"{stem}_{s}", key=c) for c, s in STEMS.items()},
        seg=one_file(case, f"{stem}_seg", key="seg"),
        label_scheme=scheme,
        day=day,
        rt_start_day=rt_start,
        source="UCSF-ALPTDG",
        age_group="adult",
        covariates=covariates,
    )

"""LUMIERE (Suter et al., Scientific Data 2022) -> visit records.

Imaging/Patient-001/week-000-1/DeepBraTumIA-segmentation/atlas/
    skull_strip/{t1,ct1,t2,flair}_skull_strip.nii.gz
    segmentation/{seg_mask.nii.gz,measured_volumes_in_mm3.json}

The atlas images are read: all sessions of a patient lie on one grid there. Only weeks are known,
and of several scans in a week only their order: week N, scan k is put on day 7 N + k - 1, which is
right to within the week. Radiotherapy and surgery have no dates. Age, sex, IDH and MGMT are read
from LUMIERE-Demographics_Pathology.csv where it is given or lies below the root. About 40 of the
638 sessions lack a contrast and were not segmented.

What the labels mean is checked against the measured volumes when a mask is read
(`data.measured`): every command would otherwise read 599 masks before it begins.
"""

from __future__ import annotations

import re
from pathlib import Path

from mechlearn.data.adapters.cohort_tables import covariates_of, find_table, keyed, read_sheet
from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.measured import MEASURED_FILE

__all__ = ["find_lumiere"]

PATIENT = re.compile(r"Patient-\d{3}")
SESSION = re.compile(r"week-(\d{3})(?:-(\d+))?")
STEMS = {"t1n": "t1", "t1c": "ct1", "t2w": "t2", "t2f": "flair"}
TABLE, SUBJECT = "LUMIERE-Demographics_Pathology", "Patient"
COVARIATES = {
    "age": "Age at surgery (years)", "sex": "Sex", "idh": "IDH (WT: wild type)",
    "mgmt": "MGMT qualitative",
}  # fmt: skip
ATLAS = Path("DeepBraTumIA-segmentation", "atlas")
EXPECTED = (
    "expected Patient-NNN/week-NNN[-N]/DeepBraTumIA-segmentation/atlas/ with skull_strip/"
    f"{{t1,ct1,t2,flair}}_skull_strip.nii.gz and segmentation/{{seg_mask.nii.gz,{MEASURED_FILE}}}"
)


def find_lumiere(
    root: Roots,
    *,
    tables: Roots | None = None,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
) -> list[VisitRecord]:
    """Find the segmented sessions, by patient and week.

    Args:
        root: the folder `Imaging`, or one above it; or several.
        tables: LUMIERE-Demographics_Pathology.csv or its folder; None looks below `root`, and it
            may be absent.
        label_scheme: None for `lumiere` (1 enhancing, 2 necrosis, 3 oedema).
        missing: None refuses sessions without one of their files; a list takes their messages, and
            they are left out.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no patient, folders that are no session, a missing file.
    """
    scheme = checked_scheme(label_scheme, "lumiere")
    gaps, records = Gaps(missing), []
    tree = walk(root, _is_case, what="LUMIERE", expected=EXPECTED)
    known = _covariates(find_table(tables, tree.loose, pattern=TABLE, what="LUMIERE"))
    for case in tree.cases:
        for session in sorted(p for p in case.iterdir() if p.is_dir()):
            with gaps.catch(session):
                records.append(_record(session, scheme, known.get(case.name, {})))
    return finish(records, gaps, what="LUMIERE")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _covariates(table: Path | None) -> dict[str, dict[str, str]]:
    """Patient -> covariates; IDH as `mutant` or `wildtype`, of "R132H mut" and "WT"."""
    rows = {} if table is None else keyed(read_sheet(table, required=[SUBJECT]), SUBJECT)
    found = {patient: covariates_of(row, COVARIATES) for patient, (_, row) in rows.items()}
    for facts in found.values():
        idh = facts.pop("idh", "").casefold()
        if "mut" in idh or idh == "wt":
            facts["idh"] = "mutant" if "mut" in idh else "wildtype"
    return found


def _record(folder: Path, scheme: str, covariates: dict[str, str]) -> VisitRecord:
    match = SESSION.fullmatch(folder.name)
    if match is None:
        raise ValueError(f"{folder}: found a folder that is no session; {EXPECTED}.")
    strip, segmented = folder / ATLAS / "skull_strip", folder / ATLAS / "segmentation"
    seg = one_file(segmented, "seg_mask", key="seg")
    if not seg.with_name(MEASURED_FILE).is_file():
        raise ValueError(f"{segmented}: expected {MEASURED_FILE} beside {seg.name}, found none.")
    return VisitRecord(
        patient=f"LUMIERE-{folder.parent.name}",
        session=folder.name,
        images={c: one_file(strip, f"{s}_skull_strip", key=c) for c, s in STEMS.items()},
        seg=seg,
        label_scheme=scheme,
        day=7.0 * int(match[1]) + int(match[2] or 1) - 1,
        source="LUMIERE",
        age_group="adult",
        covariates=covariates,
    )

"""RHUH-GBM (Cepeda et al., Data in Brief 2023) -> visit records.

RHUH-0001/{0,1,2}/RHUH-0001_0_{t1,t1ce,t2,flair,adc,segmentations}.nii.gz: before surgery, within 72
hours after it, at recurrence. The images are z-scored, with background 0.

Visits have an order but no days: the public table gives the days from the first imaging to surgery
and to progression, not those of the scans. Fill the days into the written manifest where they are
known, and prepare that. Labels: 1 necrosis, 2 peritumoral (oedema and non-enhancing tumour), 3
enhancing; a file that holds 4 instead is refused by its label.
"""

from __future__ import annotations

import re
from pathlib import Path

from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord

__all__ = ["find_rhuh_gbm"]

PATIENT = re.compile(r"RHUH-\d{4}")
SESSIONS = ("0", "1", "2")
STEMS = {"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"}
EXPECTED = "expected RHUH-NNNN/{0,1,2}/RHUH-NNNN_N_{t1,t1ce,t2,flair,segmentations}.nii.gz"


def find_rhuh_gbm(
    root: Roots, *, label_scheme: str | None = None, missing: list[str] | None = None
) -> list[VisitRecord]:
    """Find the time points of each patient, in their order, without days.

    Args:
        root: the folder with the patients' folders, or one above it; or several.
        label_scheme: None for `brats2023` (1, 2, 3); `brats2021` where enhancing is 4.
        missing: None refuses time points without one of their files; a list takes their messages,
            and they are left out.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no patient, folders that are no time point, a missing file.
    """
    scheme = checked_scheme(label_scheme, "brats2023")
    gaps, records = Gaps(missing), []
    for case in walk(root, _is_case, what="RHUH-GBM", expected=EXPECTED).cases:
        for session in sorted(p for p in case.iterdir() if p.is_dir()):
            with gaps.catch(session):
                records.append(_record(session, scheme))
    return finish(records, gaps, what="RHUH-GBM")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _record(folder: Path, scheme: str) -> VisitRecord:
    if folder.name not in SESSIONS:
        raise ValueError(f"{folder}: found a folder that is no time point; {EXPECTED}.")
    patient, stem = folder.parent.name, f"{folder.parent.name}_{folder.name}"
    return VisitRecord(
        patient=patient,
        session=folder.name,
        images={c: one_file(folder, f"{stem}_{s}", key=c) for c, s in STEMS.items()},
        seg=one_file(folder, f"{stem}_segmentations", key="seg"),
        label_scheme=scheme,
        source="RHUH-GBM",
        age_group="adult",
    )

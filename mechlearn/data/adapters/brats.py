"""BraTS folders -> visit records. What does not look like BraTS is refused, never guessed.

BraTS 2021: BraTS2021_00006/BraTS2021_00006_{t1,t1ce,t2,flair,seg}.nii.gz
BraTS 2023 and later: BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz, where
the middle number is the patient and the last the time point (no dates).

A number means the same person in every year: those of 2024's post-treatment scans up to 01790 are
patients of 2021 and 2023 (38 of them), and 2023 GLI is 2021 under new names. Patients are therefore
called by their number, which keeps all their scans in one split, and 2021's names are not read
together with later GLI names.
"""

from __future__ import annotations

import re
from pathlib import Path

from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.records import CONTRASTS

__all__ = ["find_brats"]

CASE_2021 = re.compile(r"BraTS2021_\d{5}")
CASE_2023 = re.compile(r"(BraTS-(GLI|PED|SSA)-\d{5})-(\d{3})")
SUFFIXES_2021 = dict(zip((*CONTRASTS, "seg"), ("t1", "t1ce", "t2", "flair", "seg"), strict=True))
SUFFIXES_2023 = {key: key for key in (*CONTRASTS, "seg")}
POST_TREATMENT_FROM = 100  # time points of BraTS 2024 GLI, whose label 4 is a resection cavity
EXPECTED = (
    "expected case folders BraTS2021_NNNNN with _t1, _t1ce, _t2, _flair, _seg or "
    "BraTS-{GLI,PED,SSA}-NNNNN-NNN with -t1n, -t1c, -t2w, -t2f, -seg, as .nii.gz"
)


def find_brats(
    root: Roots, *, label_scheme: str | None = None, missing: list[str] | None = None
) -> list[VisitRecord]:
    """Find all cases below one or several folders, sorted by patient and time point.

    Args:
        root: folder or folders; cases may lie deeper (one folder a challenge).
        label_scheme: of the segmentations. None takes it from the names: `brats2021`,
            `brats2023`, and `brats2024` for time points from 100. Paediatric cases of 2023 and of
            later years have the same names and other labels: there a folder whose name says BraTS
            or PED must name the year.
        missing: None refuses cases without one of their files; a list takes their messages, and
            they are left out.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no case, a folder or files that are not BraTS, a missing file, one case twice,
            BraTS 2021 together with later years' GLI.
    """
    checked_scheme(label_scheme, "")
    gaps, records = Gaps(missing), []
    for case in walk(root, _is_case, what="BraTS", expected=EXPECTED).cases:
        with gaps.catch(case):
            records.append(_record(case, label_scheme))
    _refuse_two_names(records)
    return finish(records, gaps, what="BraTS")


def _is_case(folder: Path) -> bool:
    return bool(CASE_2021.fullmatch(folder.name) or CASE_2023.fullmatch(folder.name))


def _refuse_two_names(records: list[VisitRecord]) -> None:
    old = [r for r in records if r.source == "BraTS2021"]
    new = [r for r in records if r.source == "BraTS-GLI"]
    if old and new:
        raise ValueError(
            f"found {old[0].patient} at {old[0].seg.parent} and {new[0].patient} at "
            f"{new[0].seg.parent}: BraTS 2023 GLI is BraTS 2021 under new names, and patients of "
            "2021 are scanned again in 2024; a person would stand in two splits. Give the 2023 "
            "release in place of 2021's."
        )


def _record(case: Path, label_scheme: str | None) -> VisitRecord:
    match = CASE_2023.fullmatch(case.name)
    if match is None:
        suffixes, joint, kind = SUFFIXES_2021, "_", ""
        patient, session, source = case.name, "000", "BraTS2021"
    else:
        suffixes, joint = SUFFIXES_2023, "-"
        patient, kind, session = match.groups()
        source = f"BraTS-{kind}"
    files = {
        key: one_file(case, f"{case.name}{joint}{suffix}", key=key)
        for key, suffix in suffixes.items()
    }
    return VisitRecord(
        patient=patient,
        session=session,
        images={c: files[c] for c in CONTRASTS},
        seg=files["seg"],
        label_scheme=label_scheme or _scheme(case, kind, int(session)),
        source=source,
        age_group="paediatric" if kind == "PED" else "adult",
    )


def _scheme(case: Path, kind: str, time_point: int) -> str:
    if not kind:
        return "brats2021"
    if kind == "PED":
        years = {year for folder in case.absolute().parent.parts for year in _release(folder)}
        if len(years) != 1:
            raise ValueError(
                f"{case}: label 1 means necrosis in the paediatric BraTS of 2023 and enhancing "
                f"tumour in later years, and the path names {sorted(years) or 'no'} year (in a "
                "folder called BraTS or PED). "
                "Say data.label_scheme=brats2023 or data.label_scheme=peds2024."
            )
        return "brats2023" if years == {"2023"} else "peds2024"
    return "brats2024" if time_point >= POST_TREATMENT_FROM else "brats2023"


def _release(folder: str) -> list[str]:
    """Years of BraTS in a folder's name; that of a download or a job is none."""
    named = re.search(r"brats|ped", folder, re.IGNORECASE)
    return re.findall(r"(?<!\d)20(?:23|24|25)(?!\d)", folder) if named else []

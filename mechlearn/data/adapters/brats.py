"""BraTS folders -> visit records. What does not look like BraTS is refused, never guessed.

BraTS 2017 to 2020: Brats18_CBICA_ABM_1/Brats18_CBICA_ABM_1_{t1,t1ce,t2,flair,seg}.nii.gz (2017 to
2019, often below HGG/ and LGG/) and BraTS20_Training_001/BraTS20_Training_001_{t1,...}.nii.gz
BraTS 2021: BraTS2021_00006/BraTS2021_00006_{t1,t1ce,t2,flair,seg}.nii.gz
BraTS 2023 and later: BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz, where
the middle number is the patient and the last the time point (no dates).

A number means the same person in every year: those of 2024's post-treatment scans up to 01790 are
patients of 2021 and 2023 (38 of them), and 2023 GLI is 2021 under new names. Patients are therefore
called by their number, which keeps all their scans in one split. The adult releases from 2017 on
share patients under other names, so only one of them is read at a time.
"""

from __future__ import annotations

import re
from pathlib import Path

from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.records import CONTRASTS

__all__ = ["find_brats"]

CASE_2017 = re.compile(r"(Bra(?:ts|TS)1[789]_\w+)_(\d+)|(BraTS20_Training_\d{3})")
CASE_2021 = re.compile(r"BraTS2021_\d{5}")
CASE_2023 = re.compile(r"(BraTS-(GLI|PED|SSA)-\d{5})-(\d{3})")
SUFFIXES_2021 = dict(zip((*CONTRASTS, "seg"), ("t1", "t1ce", "t2", "flair", "seg"), strict=True))
SUFFIXES_2023 = {key: key for key in (*CONTRASTS, "seg")}
POST_TREATMENT_FROM = 100  # time points of BraTS 2024 GLI, whose label 4 is a resection cavity
EXPECTED = (
    "expected case folders Brats18_NAME_N, BraTS20_Training_NNN or BraTS2021_NNNNN with _t1, "
    "_t1ce, _t2, _flair, _seg or "
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
            two releases of adult patients together.
    """
    checked_scheme(label_scheme, "")
    gaps, records = Gaps(missing), []
    for case in walk(root, _is_case, what="BraTS", expected=EXPECTED).cases:
        with gaps.catch(case):
            records.append(_record(case, label_scheme))
    _refuse_two_names(records)
    return finish(records, gaps, what="BraTS")


def _is_case(folder: Path) -> bool:
    return any(case.fullmatch(folder.name) for case in (CASE_2017, CASE_2021, CASE_2023))


def _refuse_two_names(records: list[VisitRecord]) -> None:
    adult = {r.source: r for r in records if r.source.startswith("BraTS20") or "-GLI" in r.source}
    if len(adult) > 1:
        one, other = list(adult.values())[:2]
        raise ValueError(
            f"found {one.patient} at {one.seg.parent} and {other.patient} at "
            f"{other.seg.parent}: the adult releases of BraTS share patients under other names, "
            "and a person would stand in two splits. Give one release alone, the newest for most "
            "patients."
        )


def _record(case: Path, label_scheme: str | None) -> VisitRecord:
    patient, session, source, kind = _named(case.name)
    suffixes, joint = (SUFFIXES_2023, "-") if kind else (SUFFIXES_2021, "_")
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


def _named(case: str) -> tuple[str, str, str, str]:
    """Patient, session, source, and the kind (GLI, PED, SSA) from 2023 on."""
    if match := CASE_2023.fullmatch(case):
        patient, kind, session = match.groups()
        return patient, session, f"BraTS-{kind}", kind
    match = CASE_2017.fullmatch(case)
    if match is None:
        return case, "000", "BraTS2021", ""
    year = re.findall(r"\d\d", case)[0]
    return match[1] or case, match[2] or "000", f"BraTS20{year}", ""


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
    """Years of BraTS in a folder's name; the date of a download or a job does not count."""
    named = re.search(r"brats|ped", folder, re.IGNORECASE)
    return re.findall(r"(?<!\d)20(?:23|24|25)(?!\d)", folder) if named else []

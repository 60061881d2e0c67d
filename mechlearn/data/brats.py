"""BraTS folders -> visit records. What does not look like BraTS is refused, never guessed.

BraTS 2021: BraTS2021_00006/BraTS2021_00006_{t1,t1ce,t2,flair,seg}.nii.gz
BraTS 2023 and later: BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f,seg}.nii.gz, where
the middle number is the patient and the last the time point (no dates).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechlearn.data.labels import SCHEMES
from mechlearn.data.manifest import VisitRecord
from mechlearn.records import CONTRASTS

__all__ = ["find_brats"]

CASE_2021 = re.compile(r"BraTS2021_\d{5}")
CASE_2023 = re.compile(r"(BraTS-(GLI|PED|SSA)-\d{5})-(\d{3})")
SUFFIXES_2021 = dict(zip((*CONTRASTS, "seg"), ("t1", "t1ce", "t2", "flair", "seg"), strict=True))
SUFFIXES_2023 = {key: key for key in (*CONTRASTS, "seg")}
FILE_ENDINGS = (".nii.gz", ".nii")
POST_TREATMENT_FROM = 100  # time points of BraTS 2024 GLI, whose label 4 is a resection cavity
EXPECTED = (
    "expected case folders BraTS2021_NNNNN with _t1, _t1ce, _t2, _flair, _seg or "
    "BraTS-{GLI,PED,SSA}-NNNNN-NNN with -t1n, -t1c, -t2w, -t2f, -seg, as .nii.gz"
)


def find_brats(
    root: str | Path | Sequence[str | Path], *, label_scheme: str | None = None
) -> list[VisitRecord]:
    """Find all cases below one or several folders, sorted by patient and time point.

    Args:
        root: folder or folders; cases may lie deeper (one folder a challenge).
        label_scheme: of the segmentations. None takes it from the names: `brats2021`,
            `brats2023`, and `brats2024` for time points from 100. Paediatric cases of 2023 and of
            later years have the same names and other labels: there the path must name the year.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no case, a folder or files that are not BraTS, a missing file, one case twice.
    """
    roots = [root] if isinstance(root, (str, Path)) else list(root)
    if label_scheme is not None and label_scheme not in SCHEMES:
        raise ValueError(f"label_scheme={label_scheme!r}: must be one of {', '.join(SCHEMES)}.")
    records: dict[str, VisitRecord] = {}
    for folder in roots:
        cases = 0
        for case in _cases(Path(folder)):
            record = _record(case, label_scheme)
            if record.name in records:
                raise ValueError(
                    f"{case}: case {case.name} was found before at "
                    f"{records[record.name].seg.parent}. Give each folder once."
                )
            records[record.name] = record
            cases += 1
        if not cases:
            raise ValueError(f"{folder}: found no BraTS case; {EXPECTED}. Check data.root.")
    return sorted(records.values(), key=lambda r: r.name)


def _cases(folder: Path) -> Iterator[Path]:
    """Case folders below `folder`, or `folder` itself."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Check data.root.")
    if CASE_2021.fullmatch(folder.name) or CASE_2023.fullmatch(folder.name):
        yield folder
        return
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    images = [p.name for p in entries if p.name.endswith(FILE_ENDINGS)]
    if images:
        raise ValueError(
            f"{folder}: found images {images[:6]} in a folder that is no BraTS case; {EXPECTED}. "
            "Move them away, or write a manifest for them."
        )
    for entry in entries:
        if entry.is_dir():
            yield from _cases(entry)


def _record(case: Path, label_scheme: str | None) -> VisitRecord:
    match = CASE_2023.fullmatch(case.name)
    if match is None:
        files = _files(case, SUFFIXES_2021, joint="_")
        patient, session, scheme, source = case.name, "000", "brats2021", "BraTS2021"
    else:
        files = _files(case, SUFFIXES_2023, joint="-")
        patient, kind, session = match.groups()
        scheme = label_scheme or _scheme(case, kind, int(session))
        source = f"BraTS-{kind}"
    return VisitRecord(
        patient=patient,
        session=session,
        images={c: files[c] for c in CONTRASTS},
        seg=files["seg"],
        label_scheme=label_scheme or scheme,
        source=source,
    )


def _scheme(case: Path, kind: str, time_point: int) -> str:
    if kind == "PED":
        years = set(re.findall(r"20(?:23|24|25)", str(case.absolute())))
        if len(years) != 1:
            raise ValueError(
                f"{case}: label 1 means necrosis in the paediatric BraTS of 2023 and enhancing "
                f"tumour in later years, and the path names {sorted(years) or 'no'} year. "
                "Say data.label_scheme=brats2023 or data.label_scheme=peds2024."
            )
        return "brats2023" if years == {"2023"} else "peds2024"
    return "brats2024" if time_point >= POST_TREATMENT_FROM else "brats2023"


def _files(case: Path, suffixes: dict[str, str], *, joint: str) -> dict[str, Path]:
    files = {}
    for key, suffix in suffixes.items():
        names = [f"{case.name}{joint}{suffix}{ending}" for ending in FILE_ENDINGS]
        found = [case / n for n in names if (case / n).is_file()]
        if len(found) != 1:
            raise ValueError(
                f"{case}: expected one file {' or '.join(names)} for {key}, found {len(found)}; "
                f"the folder holds {sorted(p.name for p in case.iterdir())[:12]}. "
                "Complete the case or move it out of data.root."
            )
        files[key] = found[0]
    return files

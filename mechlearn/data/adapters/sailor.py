"""SAILOR (EBRAINS, the MNI derivatives) -> visit records.

sub-01/ses-01/{T1,T1c,Flair,T2,EdemaMask-CL,ContrastEnhancedMask-CL}.nii.gz, BrainExtractionMask
where there is one, and sub-01/intervals-days.txt: the days between consecutive sessions, one less
than there are sessions. The intervals are approximate, by the authors.

The masks are binary but not all of one scale (1, 5000, 0.001 and resampling noise): see
`data.masks`. Sessions without masks were not segmented. A mask that is 0 everywhere is read as
no such tissue. The sessions' treatment.txt (CRT, TMZ, no) has no days: radiotherapy is not read.
"""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

from mechlearn.data.adapters.common import (
    Gaps,
    Roots,
    checked_scheme,
    finish,
    one_file,
    optional_file,
    walk,
)
from mechlearn.data.manifest import VisitRecord

__all__ = ["find_sailor"]

PATIENT = re.compile(r"sub-\d+")
SESSION = re.compile(r"ses-\d+")
STEMS = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "Flair"}
MASKS = {2: "EdemaMask-CL", 3: "ContrastEnhancedMask-CL"}  # labels of brats2023, later on top
INTERVALS = "intervals-days.txt"
EXPECTED = (
    "expected sub-NN/ses-NN/{T1,T1c,T2,Flair,EdemaMask-CL,ContrastEnhancedMask-CL}.nii.gz and "
    f"sub-NN/{INTERVALS}"
)


def find_sailor(
    root: Roots, *, label_scheme: str | None = None, missing: list[str] | None = None
) -> list[VisitRecord]:
    """Find the segmented sessions of each patient, by day.

    Args:
        root: the folder with the patients' folders, or one above it; or several.
        label_scheme: None for `brats2023`, whose labels 2 and 3 the two masks become.
        missing: None refuses sessions without one of their files; a list takes their messages,
            and they are left out.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no patient, a missing file, intervals that do not fit the sessions.
    """
    scheme = checked_scheme(label_scheme, "brats2023")
    gaps, records = Gaps(missing), []
    for case in walk(root, _is_case, what="SAILOR", expected=EXPECTED).cases:
        with gaps.catch(case):
            for session, day in _days(case).items():
                with gaps.catch(session):
                    records.append(_record(session, scheme, day))
    return finish(records, gaps, what="SAILOR")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _days(case: Path) -> dict[Path, float]:
    """Session -> day since the first session, whether or not it is segmented."""
    folders = [p for p in case.iterdir() if p.is_dir() and SESSION.fullmatch(p.name)]
    sessions = sorted(folders, key=lambda p: int(p.name.partition("-")[2]))
    path = case / INTERVALS
    if not sessions or not path.is_file():
        raise ValueError(
            f"{case}: {EXPECTED}, found {sorted(p.name for p in case.iterdir())[:12]}."
        )
    words = path.read_text(encoding="utf-8").replace(",", " ").split()
    if not all(word.isdigit() and int(word) > 0 for word in words):
        raise ValueError(f"{path}: found {words[:12]}, expected whole numbers of days above 0.")
    if len(words) != len(sessions) - 1:
        raise ValueError(
            f"{path}: found {len(words)} intervals for {len(sessions)} sessions, expected "
            f"{len(sessions) - 1}. All sessions must be there, segmented or not."
        )
    days = accumulate(map(float, words), initial=0.0)
    return dict(zip(sessions, days, strict=True))


def _record(folder: Path, scheme: str, day: float) -> VisitRecord:
    masks = {label: one_file(folder, stem, key="seg") for label, stem in MASKS.items()}
    return VisitRecord(
        patient=f"SAILOR-{folder.parent.name}",
        session=folder.name,
        images={c: one_file(folder, stem, key=c) for c, stem in STEMS.items()},
        seg=masks[2],
        masks=masks,
        label_scheme=scheme,
        day=day,
        source="SAILOR",
        age_group="adult",
        brain_mask=optional_file(folder, "BrainExtractionMask", key="brain_mask"),
    )

"""BIDS sessions -> visit records.

sub-X/ses-Y/anat/sub-X_ses-Y[_entities]_{T1w,T2w,FLAIR}.nii.gz, a T1w with a `ce-` entity being the
one with contrast agent; sub-X/sub-X_sessions.tsv; segmentation and brain mask beside the images or
below derivatives/: `..._dseg.nii.gz` with labels, or one `..._label-NAME_mask.nii.gz` a tissue, and
`..._desc-brain_mask.nii.gz`.

BIDS says nothing of what a tumour's labels mean: that is `label_scheme`. Of the visits' order it
knows `acq_time` (a date, often shifted as a whole); `day` and, counted as it is, the manifest's
columns on treatment are read where the table has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mechlearn.data.adapters.cohort_tables import calendar_day, read_sheet
from mechlearn.data.adapters.common import FILE_ENDINGS, Gaps, Roots, checked_scheme, finish
from mechlearn.data.manifest import NUMBERS, VisitRecord
from mechlearn.data.tables import Row, number, whole_number
from mechlearn.records import CONTRASTS

__all__ = ["find_bids"]

SUFFIX = {"t1n": "T1w", "t1c": "T1w", "t2w": "T2w", "t2f": "FLAIR"}
AGE = re.compile(r"(\d+(?:\.\d+)?)\+?")
EXPECTED = "expected sub-X/ses-Y/anat/sub-X_ses-Y_{T1w,ce-gadolinium_T1w,T2w,FLAIR}.nii.gz"


def find_bids(
    root: Roots,
    *,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
    seg: str = "dseg",
    masks: Sequence[str] = (),
    space: str = "",
) -> list[VisitRecord]:
    """Find the segmented sessions, by day where sessions.tsv has one. One contrast is enough.

    Args:
        root: a BIDS folder, raw or derivative, whose images are co-registered; or several.
        label_scheme: of the segmentation; must be given.
        missing: None refuses sessions without images or segmentation; a list takes their
            messages, and they are left out.
        seg: how the segmentation's file name ends, `desc-tumour_dseg` where there are several.
        masks: NAME:LABEL for one mask a tissue, in place of `seg`: the name of its `label-` entity
            and its label in the scheme, later ones on top.
        space: of images and masks (`space-` entity); '' for images without the entity.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no subject with sessions, no label_scheme, several files for one contrast,
            a table that is no table of sessions.
    """
    if label_scheme is None:
        raise ValueError(
            "data.label_scheme=null: BIDS does not say what the labels of a segmentation mean. "
            "Give data.label_scheme, for example brats2023."
        )
    scheme, tissues = checked_scheme(label_scheme, ""), _tissues(masks)
    gaps, records = Gaps(missing), []
    for folder in map(Path, [root] if isinstance(root, (str, Path)) else root):
        ages = _ages(folder / "participants.tsv")
        for subject in _subjects(folder):
            with gaps.catch(subject):
                for session, known in _sessions(subject).items():
                    with gaps.catch(session):
                        known |= {"age_group": ages.get(subject.name, ""), "label_scheme": scheme}
                        known |= _files_of(folder, session, seg, tissues, space)
                        records.append(VisitRecord(subject.name, session.name, **known))
    return finish(records, gaps, what="BIDS")


def _tissues(masks: Sequence[str]) -> dict[str, int]:
    """Name of a `label-` entity -> label."""
    found: dict[str, int] = {}
    for entry in masks:
        name, _, label = str(entry).partition(":")
        if not (name.isalnum() and label.isdigit()) or name in found:
            raise ValueError(
                f"data.options.masks={list(masks)}: must be NAME:LABEL, each name once, such as "
                "[edema:2,enhancing:3]."
            )
        found[name] = int(label)
    return found


def _files_of(
    folder: Path, session: Path, seg: str, masks: Mapping[str, int], space: str
) -> dict[str, Any]:
    return {
        "images": _images(session, space),
        "brain_mask": _one(_derived(folder, session, space), "desc-brain_mask"),
        "source": "BIDS",
        **_segmentation(folder, session, seg, masks, space),
    }


def _subjects(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Check data.root.")
    found = sorted(p for p in folder.glob("sub-*") if p.is_dir())
    if not any(list(p.glob("ses-*")) for p in found):
        holds = sorted(p.name for p in folder.iterdir())[:12]
        raise ValueError(f"{folder}: {EXPECTED}, found {holds}. Check data.root.")
    return found


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _files(folder: Path, session: Path) -> list[Path]:
    prefix = f"{session.parent.name}_{session.name}_"
    paths = (p for ending in FILE_ENDINGS for p in folder.glob(f"{prefix}*{ending}"))
    return sorted(paths)


def _entities(path: Path) -> dict[str, str]:
    return dict(re.findall(r"(?<=_)([A-Za-z]+)-([A-Za-z0-9]+)(?=_)", _stem(path)))


def _images(session: Path, space: str) -> dict[str, Path]:
    found: dict[str, list[Path]] = {c: [] for c in CONTRASTS}
    for path in _files(session / "anat", session):
        entities = _entities(path)
        if entities.get("space", "") != space or "label" in entities:
            continue
        for contrast, suffix in SUFFIX.items():
            enhanced = "ce" in entities
            if _stem(path).endswith(f"_{suffix}") and enhanced == (contrast == "t1c"):
                found[contrast].append(path)
    several = next((paths for paths in found.values() if len(paths) > 1), None)
    if several:
        raise ValueError(
            f"{session}: found {[p.name for p in several]} for one contrast. Choose one with "
            "data.options.space, move the others away, or write a manifest."
        )
    images = {c: paths[0] for c, paths in found.items() if paths}
    if not images:
        raise ValueError(f"{session}: {EXPECTED}, found none (space={space or 'not named'!r}).")
    return images


def _derived(folder: Path, session: Path, space: str) -> list[Path]:
    """Files beside the images and, for the same session, below derivatives/."""
    below = Path(session.parent.name, session.name, "anat")
    homes = [folder, *sorted(p for p in folder.glob("derivatives/*") if p.is_dir())]
    paths = [p for home in homes for p in _files(home / below, session)]
    return [p for p in paths if not space or _entities(p).get("space") == space]


def _one(paths: list[Path], ending: str) -> Path | None:
    found = [p for p in paths if _stem(p).endswith(f"_{ending}")]
    if len(found) > 1:
        raise ValueError(
            f"found {[str(p) for p in found]}, expected one file that ends in _{ending}. "
            "Name more of it with data.options.seg, or move the others away."
        )
    return found[0] if found else None


def _segmentation(
    folder: Path, session: Path, seg: str, masks: Mapping[str, int], space: str
) -> dict[str, Any]:
    """`seg` and `masks` of the record."""
    paths = _derived(folder, session, space)
    endings = {f"label-{name}_mask": int(label) for name, label in masks.items()}
    wanted = list(endings) or [seg]
    found = {ending: _one(paths, ending) for ending in wanted}
    absent = [ending for ending, path in found.items() if path is None]
    if absent:
        raise ValueError(
            f"{session}: expected a segmentation that ends in _{absent[0]}.nii.gz beside the "
            f"images or below {folder / 'derivatives'}, found {[p.name for p in paths][:12]}."
        )
    files = {ending: path for ending, path in found.items() if path is not None}
    parts = {endings[ending]: path for ending, path in files.items()} if masks else {}
    return {"seg": next(iter(files.values())), "masks": parts}


def _sessions(subject: Path) -> dict[Path, dict[str, Any]]:
    """Folder of each session -> its day and treatment, as far as they are known."""
    table = _session_table(subject)
    folders = sorted(p for p in subject.glob("ses-*") if p.is_dir())
    return {folder: table.get(folder.name, {}) for folder in folders}


def _session_table(subject: Path) -> dict[str, dict[str, Any]]:
    """Session -> day and treatment, from the subject's sessions.tsv; empty without one."""
    path = subject / f"{subject.name}_sessions.tsv"
    if not path.is_file():
        return {}
    rows = read_sheet(path, required=["session_id"])
    dates = {row["session_id"]: calendar_day(where, "acq_time", row.get("acq_time", ""))
             for where, row in rows}  # fmt: skip
    first = min((d for d in dates.values() if d is not None), default=0.0)
    found = {}
    for where, row in rows:
        cells = _cells((where, row))
        date = dates[row["session_id"]]
        if "day" not in row and date is not None:
            cells["day"] = date - first
        name = f"ses-{row['session_id'].removeprefix('ses-')}"
        if name in found:
            raise ValueError(f"{where}: session {name} stands twice in the table. Drop a row.")
        found[name] = cells
    return found


def _cells(found: Row) -> dict[str, Any]:
    where, row = found
    numbers: dict[str, Any] = {key: number(where, key, row.get(key, "")) for key in NUMBERS}
    return {**numbers, "fractions": whole_number(where, "fractions", row.get("fractions", ""))}


def _ages(path: Path) -> dict[str, str]:
    """Subject -> age group, from participants.tsv; only where it gives an age in years."""
    if not path.is_file():
        return {}
    found = {}
    for _, row in read_sheet(path, required=["participant_id"]):
        age = AGE.fullmatch(row.get("age", ""))
        if age:
            found[row["participant_id"]] = "paediatric" if float(age[1]) < 18 else "adult"
    return found

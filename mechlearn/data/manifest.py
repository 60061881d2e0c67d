"""The canonical manifest: a CSV with one row a visit, whatever the data set it came from.

Columns: patient, session, day, t1n, t1c, t2w, t2f, seg, label_scheme, rt_start_day, rt_end_day,
dose_gy, fractions, surgery_day, source, age_group, brain_mask, and those of `data.patient_facts`:
covariates and first and last days of treatments. Relative paths start at the manifest's folder.
Days count from the patient's first visit, or are dates (`data.day_cells`); an empty day means that
the data set gives none. A row holds one course of radiotherapy; several
courses stand on different rows of the patient. `seg` is one file, or several binary masks as
LABEL=file;LABEL=file (`data.masks`).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from mechlearn.data.courses import COURSE_COLUMNS, RT_DURATION_DAYS, check_course, courses
from mechlearn.data.day_cells import days_from_dates
from mechlearn.data.labels import SCHEMES
from mechlearn.data.masks import join_masks, split_masks
from mechlearn.data.patient_facts import (
    COVARIATES,
    TREATMENT_COLUMNS,
    treatment_days_of,
    treatments_of,
)
from mechlearn.data.tables import cell, number, read_rows, whole_number, write_rows
from mechlearn.records import CONTRASTS, Radiotherapy

__all__ = [
    "AGE_GROUPS",
    "COLUMNS",
    "VisitRecord",
    "check_records",
    "read_manifest",
    "write_manifest",
]

COLUMNS = (
    "patient", "session", "day", *CONTRASTS, "seg", "label_scheme", *COURSE_COLUMNS, "surgery_day",
    "source", "age_group", "brain_mask", *COVARIATES, *TREATMENT_COLUMNS,
)  # fmt: skip
AGE_GROUPS = ("adult", "paediatric")
REQUIRED = ("patient", "session", "seg", "label_scheme")
DAYS = ("day", "rt_start_day", "rt_end_day", "surgery_day")
NUMBERS = (*DAYS, "dose_gy")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # names become folders of the slice store


@dataclass(frozen=True)
class VisitRecord:
    """One visit: files, day and treatment. Paths are absolute or relative to the working folder.

    Where the segmentation is several binary masks, `masks` names them by their label, the lowest
    first, and `seg` is the first of them.
    """

    patient: str
    session: str
    images: Mapping[str, Path]  # contrast -> file; empty for a mask without images
    seg: Path
    label_scheme: str
    day: float | None = None
    rt_start_day: float | None = None
    rt_end_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None
    surgery_day: float | None = None
    source: str = ""
    age_group: str = ""  # adult, paediatric, or '' if unknown: splits are drawn in each group
    brain_mask: Path | None = None  # where the images are not skull-stripped
    masks: Mapping[int, Path] = field(default_factory=dict)  # label -> binary mask, later on top
    covariates: Mapping[str, str] = field(default_factory=dict)  # of the patient: `COVARIATES`
    treatment_days: Mapping[str, float] = field(default_factory=dict)  # `TREATMENT_COLUMNS` -> day

    def __post_init__(self) -> None:
        for key in ("patient", "session"):
            if not NAME.fullmatch(getattr(self, key)):
                raise ValueError(
                    f"{key}={getattr(self, key)!r}: must be letters, digits, '.', '_' and '-', "
                    "beginning with a letter or digit (it names a folder). Rename it."
                )
        unknown = sorted(set(self.images) - set(CONTRASTS))
        if unknown:
            raise ValueError(f"images={sorted(self.images)}: must be of {', '.join(CONTRASTS)}.")
        if self.label_scheme not in SCHEMES:
            raise ValueError(
                f"label_scheme={self.label_scheme!r}: must be one of {', '.join(SCHEMES)}."
            )
        foreign = sorted(set(self.masks) - set(SCHEMES[self.label_scheme]))
        if foreign:
            raise ValueError(
                f"seg: masks of the labels {foreign}, but label_scheme={self.label_scheme!r} has "
                f"{', '.join(map(str, SCHEMES[self.label_scheme]))}. Mend the labels."
            )
        if self.masks and self.seg != next(iter(self.masks.values())):
            raise ValueError(f"seg={self.seg}: must be the first of masks={dict(self.masks)}.")
        if self.age_group not in ("", *AGE_GROUPS):
            raise ValueError(
                f"age_group={self.age_group!r}: must be {' or '.join(AGE_GROUPS)}, or empty."
            )
        days = {"day": self.day, "surgery_day": self.surgery_day, **self.treatment_days}
        for key, value in days.items():
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{key}={value!r}: must be a finite number or empty.")
        check_course(self)
        treatments_of(self.treatment_days)

    @property
    def name(self) -> str:
        return f"{self.patient}/{self.session}"

    def radiotherapy(self, *, duration_days: float = RT_DURATION_DAYS) -> Radiotherapy | None:
        """This row's course, or None. If only its end is known it began `duration_days` earlier."""
        start = self.rt_start_day
        if start is None and self.rt_end_day is not None:
            start = self.rt_end_day - duration_days
        if start is None:
            return None
        return Radiotherapy(start, self.rt_end_day, self.dose_gy, self.fractions)

    def files(self) -> dict[str, Path]:
        """Contrast, `seg` (`seg=LABEL` where there are several masks) or `brain_mask` -> file."""
        seg = {f"seg={label}": file for label, file in self.masks.items()} or {"seg": self.seg}
        mask = {} if self.brain_mask is None else {"brain_mask": self.brain_mask}
        return {**self.images, **seg, **mask}

    def as_dict(self) -> dict[str, Any]:
        """Plain builtins with absolute paths, for JSON."""
        card = {f.name: getattr(self, f.name) for f in fields(self)}
        card["images"] = {c: os.path.abspath(p) for c, p in self.images.items()}
        for key in ("seg", "brain_mask"):
            card[key] = None if card[key] is None else os.path.abspath(card[key])
        card["masks"] = {str(label): os.path.abspath(p) for label, p in self.masks.items()}
        return card

    @classmethod
    def from_dict(cls, card: Mapping[str, Any]) -> VisitRecord:
        """Inverse of `as_dict`."""
        images = {c: Path(p) for c, p in card["images"].items()}
        masks = {int(label): Path(p) for label, p in card.get("masks", {}).items()}
        brain = card.get("brain_mask")
        paths = {"seg": Path(card["seg"]), "brain_mask": None if brain is None else Path(brain)}
        return cls(**{**card, "images": images, "masks": masks, **paths})


def read_manifest(
    path: str | Path, *, check_files: bool = True, missing: list[str] | None = None,
    masks_alone: bool = False, folders: bool = False,
) -> list[VisitRecord]:
    """Read a manifest, in the order of its rows.

    Args:
        path: CSV file; relative paths inside start at its folder.
        check_files: refuse rows whose files are not on disk.
        missing: None refuses the first row that breaks a rule; a list takes the messages of all
            of them, they are left out, and rules across rows are left to `check_records`.
        masks_alone: accept visits without an image, which a forecast can start from.
        folders: accept folders of DICOM series in place of files (`data.dicom` converts them).

    Raises:
        FileNotFoundError: no such manifest.
        ValueError: a row that breaks a rule; the message names file, row, key, value and remedy.
    """
    path = Path(path)
    rows = read_rows(path, what="manifest", columns=COLUMNS,
                     missing=partial(_missing, masks_alone=masks_alone))  # fmt: skip
    if not rows:
        raise ValueError(f"{path}: no visit below the header. Write one row a visit.")
    records, dated = [], (*DAYS, *TREATMENT_COLUMNS)
    for where, cells in days_from_dates(path, rows, dated, missing=missing):
        try:
            record = _record(where, cells, path.parent, check_files, folders)
            if not record.images and not masks_alone:
                raise ValueError(f"{where}: no image; a visit needs one or more of "
                                 f"{', '.join(CONTRASTS)}. Fill them in.")  # fmt: skip
            records.append(record)
        except ValueError as error:
            if missing is None:
                raise
            missing.append(str(error))
    if missing is None:
        check_records(records, where=str(path))
    return records


def _missing(header: Sequence[str], *, masks_alone: bool) -> list[str]:
    missing = [c for c in REQUIRED if c not in header]
    if not masks_alone and not set(CONTRASTS) & set(header):
        missing.append("one of " + ", ".join(CONTRASTS))
    return missing


def _record(
    where: str, cells: Mapping[str, str], folder: Path, check_files: bool, folders: bool
) -> VisitRecord:
    def path_of(key: str, name: str = "") -> Path:
        name = name or cells[key]
        file = Path(os.path.normpath(folder / name))
        if check_files and not (file.is_file() or (folders and file.is_dir())):
            raise ValueError(
                f"{where}: {key}={name!r}: no such file ({file}); relative paths start at "
                "the manifest's folder. Mend the path or drop the row."
            )
        return file

    for key in REQUIRED:
        if not cells[key]:
            raise ValueError(f"{where}: {key} is empty; every visit needs one. Fill it in.")
    numbers = {key: number(where, key, cells.get(key, "")) for key in NUMBERS}
    fractions = whole_number(where, "fractions", cells.get("fractions", ""))
    try:
        parts = split_masks(cells["seg"]) or {}
        masks = {label: path_of("seg", name) for label, name in parts.items()}
        return VisitRecord(
            patient=cells["patient"],
            session=cells["session"],
            images={c: path_of(c) for c in CONTRASTS if cells.get(c)},
            seg=next(iter(masks.values())) if masks else path_of("seg"),
            label_scheme=cells["label_scheme"],
            fractions=fractions,
            source=cells.get("source", ""),
            age_group=cells.get("age_group", ""),
            brain_mask=path_of("brain_mask") if cells.get("brain_mask") else None,
            masks=masks,
            covariates={key: cells[key] for key in COVARIATES if cells.get(key)},
            treatment_days=treatment_days_of(where, cells),
            **numbers,
        )
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(where) else f"{where}: {text}") from error


def check_records(records: Iterable[VisitRecord], *, where: str) -> None:
    """Rules across rows; ValueError naming `where`, patient and session.

    A patient's session stands once; either all or none of a patient's visits have a day; the rows
    of one patient do not contradict each other on a course of radiotherapy.
    """
    ordered = sorted(records, key=lambda r: r.patient)
    for patient, group in groupby(ordered, key=lambda r: r.patient):
        visits = list(group)
        sessions = [v.session for v in visits]
        twice = sorted({s for s in sessions if sessions.count(s) > 1})
        if twice:
            raise ValueError(
                f"{where}: patient={patient} session={twice[0]} stands {sessions.count(twice[0])} "
                "times; a session stands once. Drop a row or rename a session."
            )
        undated = [v.session for v in visits if v.day is None]
        if undated and len(undated) < len(visits):
            raise ValueError(
                f"{where}: patient={patient}: sessions {undated} have no day but others have; "
                "visits cannot be put in order. Give a day to all or to none."
            )
        courses(visits, where=f"{where}: patient={patient}")


def write_manifest(records: Iterable[VisitRecord], path: str | Path) -> Path:
    """Write a manifest, atomically; paths below its folder become relative. Returns its path."""
    path = Path(path)
    records = list(records)
    check_records(records, where=str(path))
    folder = path.parent.resolve()
    return write_rows(path, COLUMNS, (_cells(record, folder) for record in records))


def _cells(record: VisitRecord, folder: Path) -> dict[str, str]:
    def relative(file: Path) -> str:
        whole = Path(os.path.abspath(file))
        return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)

    cells = {c: relative(p) for c, p in record.files().items() if c in COLUMNS}
    if record.masks:
        cells["seg"] = join_masks({label: relative(p) for label, p in record.masks.items()})
    known = vars(record) | dict(record.covariates) | dict(record.treatment_days)
    for key in COLUMNS:
        if key not in cells and key not in CONTRASTS:
            cells[key] = cell(known.get(key))
    return cells

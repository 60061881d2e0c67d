"""Patients of a manifest, a table of sizes, a BIDS folder or a folder of one visit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from mechlearn.data.courses import courses
from mechlearn.data.day_cells import first_dates
from mechlearn.data.dicom import Converted, convert_folder, holds_dicom
from mechlearn.data.labels import SCHEMES
from mechlearn.data.manifest import VisitRecord, read_manifest
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.patient_facts import treatments_of
from mechlearn.data.tables import header_of
from mechlearn.records import Patient, Treatment, Visit

__all__ = [
    "one_of_patients",
    "patient_of_folder",
    "patients_of_records",
    "patients_of_table",
    "record_of",
    "visit_folder",
]

FILE_NAMES = {  # how the files of one visit end, in the names of BraTS, UCSF, UPENN and others
    "t1n": r"(t1n|t1|t1w|brain_t1n)",
    "t1c": r"(t1c|t1ce|t1gd|ct1|brain_t1c)",
    "t2w": r"(t2w|t2|brain_t2w)",
    "t2f": r"(t2f|flair|brain_t2f)",
    "seg": r"(seg|segm|segmentation|tumormask|dseg)",
}
ENDING = r"(?:^|[-_.]){}\.nii(\.gz)?$"


def patients_of_records(records: Sequence[VisitRecord], *, where: str) -> list[Patient]:
    """Patients from the visits of a manifest or an adapter, visits in order of day.

    Args:
        records: visits; those of one patient need not stand together.
        where: how an error names their source.
    """
    ordered = sorted(records, key=lambda r: (r.patient, r.day if r.day is not None else 0.0))
    found = []
    for name, group in groupby(ordered, key=lambda r: r.patient):
        visits = list(group)
        ages = {v.age_group for v in visits if v.age_group}
        covariates: dict[str, float | str] = {"age_group": ages.pop()} if len(ages) == 1 else {}
        for visit in reversed(visits):  # the first visit has the last word, as on the age
            covariates |= visit.covariates
        found.append(
            Patient(
                name, tuple(map(_visit, visits)),
                radiotherapy=courses(visits, where=f"{where}: patient={name}"),
                treatments=_treatments(visits), covariates=covariates,
            )
        )  # fmt: skip
    return found


def _treatments(visits: Sequence[VisitRecord]) -> tuple[Treatment, ...]:
    given = {t for v in visits for t in treatments_of(v.treatment_days)}
    given |= {Treatment("surgery", v.surgery_day) for v in visits if v.surgery_day is not None}
    return tuple(sorted(given, key=lambda t: (t.start_day, t.kind, t.end_day or t.start_day)))


def _visit(record: VisitRecord) -> Visit:
    return Visit(
        record.session, record.day, dict(record.images), record.seg, record.label_scheme,
        record.brain_mask, dict(record.masks),
    )  # fmt: skip


def record_of(patient: Patient, visit: Visit) -> VisitRecord:
    """The files of one visit with one course of radiotherapy, as the readers here take them.

    The k-th visit carries the k-th course, as the rows of a manifest do.

    Raises:
        ValueError: a visit without a segmentation.
    """
    if visit.seg is None:
        raise ValueError(
            f"patient {patient.name}: visit {visit.session} has no segmentation; a growth map "
            "needs that of the last visit. Give its file, or forecast the size alone."
        )
    k = patient.visits.index(visit) if visit in patient.visits else len(patient.radiotherapy)
    rt = patient.radiotherapy[k] if k < len(patient.radiotherapy) else None
    record = VisitRecord(
        patient.name, visit.session, dict(visit.images), visit.seg, visit.label_scheme,
        day=visit.day, brain_mask=visit.brain_mask, masks=dict(visit.masks),
    )  # fmt: skip
    if rt is None:
        return record
    return replace(
        record, rt_start_day=rt.start_day, rt_end_day=rt.end_day, dose_gy=rt.dose_gy,
        fractions=rt.fractions,
    )  # fmt: skip


def patients_of_table(path: str | Path) -> list[Patient]:
    """Patients of a CSV: a manifest of files (it has a column `seg`) or a table of volumes.

    Visits of a manifest may lack images here; their growth map then takes a template's tissue. A
    cell may name the folder of a DICOM series, which `data.dicom.convert_patient` converts.

    A table of volumes has the columns patient, day and volume_mm3, and may have session,
    rt_start_day, rt_end_day, dose_gy and fractions.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a row that breaks a rule of `read_manifest` or `read_series`.
    """
    path = Path(path).expanduser()
    if "seg" in header_of(path, what="patient"):
        listed = read_manifest(path, masks_alone=True, folders=True)
        found = patients_of_records(listed, where=str(path))
    else:
        found = _of_volumes(path)
    dates = first_dates(path)
    return [replace(patient, first_date=dates.get(patient.name)) for patient in found]


def _of_volumes(path: Path) -> list[Patient]:
    from mechlearn.data.size_table import read_series

    found = []
    for series in read_series(path).timelines:
        if series.unit != "mm3":
            raise ValueError(
                f"{path}: holds areas; a patient has volumes. Give a column volume_mm3, or use "
                "mechlearn.growth.compare for series of areas."
            )
        visits = tuple(
            Visit(v.session or f"v{k}", v.day, volumes_mm3={series.compartment: v.size})
            for k, v in enumerate(series.visits)
        )
        found.append(
            Patient(series.patient, visits, series.courses, series.treatments, series.covariates)
        )
    return found


def one_of_patients(found: Sequence[Patient], name: str | None, where: str) -> Patient:
    """The patient of a name, or the only one.

    Raises:
        ValueError: several patients and no name; no patient of this name.
    """
    names = [patient.name for patient in found]
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    if name is None and len(found) == 1:
        return found[0]
    if name is None:
        raise ValueError(
            f"{where}: holds {len(names)} patients ({shown}). "
            "Name one of them: name=... in Python, patient_id=... on the command line."
        )
    if name not in names:
        raise ValueError(f"{where}: no patient {name!r}; it holds {shown}.")
    return found[names.index(name)]


def patient_of_folder(
    folder: str | Path, name: str | None = None, *, label_scheme: str | None = None,
    nifti: Path | None = None,
) -> Converted:
    """The patient of a folder with one visit, NIfTI or DICOM.

    Args:
        folder: see `visit_folder`; or all DICOM series of the visit with a DICOM SEG.
        name: of the patient; None for the folder's name.
        label_scheme: see `visit_folder`.
        nifti: folder for the NIfTI files made from DICOM; None refuses DICOM.

    Raises:
        FileNotFoundError, ValueError: as `visit_folder` and `data.dicom.convert_folder`.
    """
    folder = Path(folder).expanduser()
    source, series = folder, {}
    if nifti is not None and not any(folder.glob("*.nii*")) and holds_dicom(folder):
        source, series = nifti, dict(convert_folder(folder, nifti))
    visit = visit_folder(source, label_scheme=label_scheme)
    return Converted(Patient(name or folder.resolve().name, (visit,)), series)


def visit_folder(
    folder: str | Path, *, label_scheme: str | None = None, session: str = "v0", day: float = 0.0
) -> Visit:
    """The visit whose files lie in one folder, found by how their names end.

    Accepted endings are those of BraTS 2018 to 2024, UCSF-ALPTDG, UPENN-GBM and LUMIERE: t1n or
    t1, t1c, t1ce or t1gd, t2w or t2, t2f or flair, seg, in .nii or .nii.gz.

    Args:
        folder: the visit's folder.
        label_scheme: what the labels mean; None where they say so themselves: a 4 and no 3 is
            brats2021, a 3 and no 4 is brats2023, neither is read as brats2021 (labels 1 and 2 mean
            the same in both).
        session, day: of the visit.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no segmentation, names that say nothing beside a segmentation, two files for one
            contrast, ambiguous labels.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Give the folder of one visit.")
    files = {key: _file(folder, key) for key in FILE_NAMES}
    seg = files.pop("seg")
    images = {key: path for key, path in files.items() if path is not None}
    others = [p for p in folder.iterdir() if p.name.endswith((".nii", ".nii.gz")) and p != seg]
    if seg is None and holds_dicom(folder):
        raise ValueError(
            f"{folder}: holds DICOM files. The forecast command converts them; in Python, give "
            'Patient.from_folder(..., nifti="FOLDER") a folder for the NIfTI files made from them.'
        )
    if seg is None or (others and not images):
        raise ValueError(
            f"{folder}: no {'segmentation' if seg is None else 'image'} found; names must end in "
            "t1, t1ce, t2, flair and seg (or t1n, t1c, t2w, t2f) and .nii.gz. Rename the files or "
            "write a manifest."
        )
    return Visit(session, day, images, seg, label_scheme or _scheme(seg))


def _file(folder: Path, key: str) -> Path | None:
    pattern = re.compile(ENDING.format(FILE_NAMES[key]), re.IGNORECASE)
    found = sorted(path for path in folder.iterdir() if pattern.search(path.name))
    if len(found) > 1:
        raise ValueError(
            f"{folder}: {key} could be {' or '.join(path.name for path in found)}. Keep one, or "
            "write a manifest."
        )
    return found[0] if found else None


def _scheme(seg: Path) -> str:
    held = np.unique(np.asanyarray(open_volume(seg).dataobj))
    if not np.isfinite(held).all():
        raise ValueError(f"{seg}: holds NaN or infinity. Set them to 0 where there is no tumour.")
    labels = {int(v) for v in np.rint(held)} - {0}
    fitting = [name for name in ("brats2021", "brats2023") if labels <= set(SCHEMES[name])]
    if not fitting:
        raise ValueError(
            f"{seg}: labels {sorted(labels)} fit more than one scheme or none. Give label_scheme, "
            f"one of {', '.join(SCHEMES)}."
        )
    return fitting[0]

"""What else is known of the patients of a table of sizes: covariates, treatments, compartments.

A patients table is a CSV with one row a patient. Columns that are read: patient; age, sex, grade,
idh, mgmt, diagnosis; surgery_day; chemo_start_day, chemo_end_day, adjuvant_chemo_start_day,
adjuvant_chemo_end_day; immunotherapy_start_day, immunotherapy_end_day; other_start_day,
other_end_day. Days count from the patient's first visit; an empty cell is unknown. Other columns
are left alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mechlearn.data.compartments import with_companions
from mechlearn.data.patient_facts import (
    COVARIATES,
    TREATMENT_COLUMNS,
    treatment_days_of,
    treatments_of,
)
from mechlearn.data.size_table import read_series
from mechlearn.data.tables import number, read_rows
from mechlearn.records import Patient, SizeSeries, Treatment

__all__ = ["PatientFacts", "complete", "known_patient", "read_patients", "with_patients"]


@dataclasses.dataclass(frozen=True)
class PatientFacts:
    """Covariates and treatments of one patient."""

    covariates: Mapping[str, float | str]
    treatments: tuple[Treatment, ...]


def read_patients(path: str | Path) -> dict[str, PatientFacts]:
    """Read a patients table.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no column `patient`, a patient twice, or a day that is not a finite number.
    """
    path = Path(path).expanduser()
    found: dict[str, PatientFacts] = {}
    for row, cells in read_rows(path, what="patients table", columns=None, missing=_missing):
        where = f"{row}: patient={cells['patient']}"
        if cells["patient"] in found:
            raise ValueError(f"{where}: stands twice. Keep one row a patient.")
        found[cells["patient"]] = PatientFacts(
            {k: cells[k] for k in COVARIATES if cells.get(k)}, _treatments(where, cells)
        )
    return found


def _missing(header: Sequence[str]) -> list[str]:
    return [] if "patient" in header else ["patient"]


def _treatments(where: str, cells: Mapping[str, str]) -> tuple[Treatment, ...]:
    operated = _day(where, "surgery_day", cells)
    surgery = () if operated is None else (Treatment("surgery", operated),)
    for key in TREATMENT_COLUMNS:
        _day(where, key, cells)  # refuses infinity
    days = treatment_days_of(where, cells)
    try:
        return tuple(sorted((*surgery, *treatments_of(days)), key=lambda t: t.start_day))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _day(where: str, key: str, cells: Mapping[str, str]) -> float | None:
    value = number(where, key, cells.get(key, ""))
    if value is not None and not math.isfinite(value):
        raise ValueError(f"{where}: {key}={value}: must be a finite number or empty.")
    return value


def with_patients(
    series: Sequence[SizeSeries], facts: Mapping[str, PatientFacts]
) -> tuple[SizeSeries, ...]:
    """The series with their patients' covariates and treatments.

    Raises:
        ValueError: not one patient of the series stands in the table.
    """
    if not any(s.patient in facts for s in series):
        raise ValueError(
            f"patients table: holds {len(facts)} patients, none of the {len(series)} series "
            f"(such as {series[0].patient!r}). Check that both files name patients alike."
        )
    return tuple(
        dataclasses.replace(s, covariates=facts[s.patient].covariates,
                            treatments=facts[s.patient].treatments)
        if s.patient in facts else s
        for s in series
    )  # fmt: skip


def known_patient(patient: Patient, path: str | Path | None) -> Patient:
    """The patient with the covariates and treatments of a patients table; itself without one.

    Raises:
        FileNotFoundError, ValueError: as `read_patients`; the patient does not stand in the table.
    """
    if path is None:
        return patient
    facts = read_patients(path)
    if patient.name not in facts:
        raise ValueError(
            f"patients_table={path}: holds {len(facts)} patient(s), none called {patient.name!r}. "
            "Check that both files name patients alike."
        )
    found = facts[patient.name]
    given = {*patient.treatments, *found.treatments}
    return dataclasses.replace(
        patient, treatments=tuple(sorted(given, key=lambda t: t.start_day)),
        covariates={**patient.covariates, **found.covariates},
    )  # fmt: skip


def complete(
    series: Sequence[SizeSeries], *, companion: str | Path | None = None,
    patients: str | Path | None = None,
) -> tuple[SizeSeries, ...]:
    """The series with what a second table of sizes and a patients table add, where given."""
    found = tuple(series)
    if companion is not None:
        found = with_companions(found, read_series(companion).timelines)
    return found if patients is None else with_patients(found, read_patients(patients))

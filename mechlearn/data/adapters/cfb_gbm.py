"""CFB-GBM (TCIA, doi 10.7937/v9pn-2f72) -> visit records.

data/015/{t0,t1,t2}/15_{t0,t1,t2}_{t1gd,gtv,brain_mask}.nii.gz (and _flair where there is one), and
versioned tables: CFB-GBM_mri_availability_v*.tsv (weeks since t0), CFB-GBM_treatment_data_v*.tsv
(weeks from t0 to radiotherapy, dose, fractions), CFB-GBM_clinical_data_v*.tsv (age and sex; it may
be absent).

t0 lies after surgery and before chemoradiation. One binary target volume (`gtv`): enhancement with
the necrosis in it, no oedema; at t1 and t2 a network drew it. One course of radiotherapy, of which
the end is not given. Times are whole weeks.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mechlearn.data.adapters.cohort_tables import (
    covariates_of,
    dose_gy,
    find_table,
    header,
    keyed,
    read_sheet,
)
from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, is_image, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.tables import Row, number, whole_number

__all__ = ["find_cfb_gbm"]

PATIENT = re.compile(r"\d{1,4}")
FILE = re.compile(r"(\d+)_(t\d)_(t1gd|flair|gtv|brain_mask)\.nii(?:\.gz)?")
CONTRAST = {"t1gd": "t1c", "flair": "t2f"}
SUBJECT, TIME, WEEKS = "id_patient", "temporality", "time_diff_t0 (weeks)"
DELAY, DOSE, FRACTIONS = "delay_t0_to_radiotherapy (weeks)", "dose (Gy)", "fractions_number"
CLINICAL, COVARIATES = "CFB-GBM_clinical_data", {"age": "age_at_t0 (years)", "sex": "gender"}
EXPECTED = "expected folders NNN with files N_{t0,t1,t2}_{t1gd,gtv,brain_mask}.nii.gz below"
TABLES = {
    "CFB-GBM_mri_availability": ("the weeks of the scans", (SUBJECT, TIME, WEEKS)),
    "CFB-GBM_treatment_data": ("radiotherapy", (SUBJECT, DELAY, DOSE, FRACTIONS)),
}


def find_cfb_gbm(
    root: Roots,
    *,
    tables: Roots | None = None,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
) -> list[VisitRecord]:
    """Find the time points that have T1c, target volume and brain mask.

    Args:
        root: the folder `data`, or one above it; or several.
        tables: the TSV files or their folder; None looks below `root`. Of several versions of a
            table the newest is read.
        label_scheme: None for `gtv`.
        missing: None refuses time points without one of their files or their week; a list takes
            their messages, and they are left out.

    Raises:
        FileNotFoundError: no such folder, no table.
        ValueError: no patient, a missing file, a patient who is not in the table, a cell that is
            no number.
    """
    scheme = checked_scheme(label_scheme, "gtv")
    tree = walk(root, _is_case, what="CFB-GBM", expected=EXPECTED)
    scans, therapy = (_rows(name, root, tables, tree.loose) for name in TABLES)
    weeks = {
        (_number(row[SUBJECT]), row[TIME]): number(where, WEEKS, row[header(WEEKS)])
        for where, row in scans
    }
    treatment = {_number(name): row for name, row in keyed(therapy, SUBJECT).items()}
    clinical = find_table(tables, tree.loose, pattern=CLINICAL, what=CLINICAL)
    patients = {} if clinical is None else keyed(read_sheet(clinical, required=[SUBJECT]), SUBJECT)
    known = {_number(name): covariates_of(row, COVARIATES) for name, (_, row) in patients.items()}
    gaps, records = Gaps(missing), []
    for case in tree.cases:
        with gaps.catch(case):
            course = _course(case, treatment) | {"covariates": known.get(int(case.name), {})}
            for time, files in sorted(_files(case).items()):
                with gaps.catch(case):
                    week = weeks.get((int(case.name), time))
                    records.append(_record(case, time, files, scheme, week, course))
    return finish(records, gaps, what="CFB-GBM")


def _is_case(folder: Path) -> bool:
    return PATIENT.fullmatch(folder.name) is not None


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _rows(name: str, root: Roots, tables: Roots | None, loose: list[Path]) -> list[Row]:
    content, columns = TABLES[name]
    table = find_table(tables, loose, pattern=re.escape(name), what=name)
    if table is None:
        raise FileNotFoundError(
            f"{root}: found no {name}_v*.tsv, which has {content}. Take it from the data set's "
            "page and give its folder with data.tables=FOLDER."
        )
    return read_sheet(table, required=columns)


def _files(case: Path) -> dict[str, dict[str, Path]]:
    """Time point -> part -> file, anywhere below the case; other images are not read."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(p for p in case.rglob("*") if is_image(p) and not p.name.startswith(".")):
        match = FILE.fullmatch(path.name)
        if match is None:
            continue
        if int(match[1]) != int(case.name):
            raise ValueError(f"{path}: a file of patient {match[1]} in the folder {case.name}.")
        first = found.setdefault(match[2], {}).setdefault(match[3], path)
        if first is not path:
            raise ValueError(f"{case}: found {first} and {path}. Move one of them away.")
    if not found:
        raise ValueError(f"{case}: {EXPECTED}, found none.")
    return found


def _course(case: Path, treatment: dict[int | str, Row]) -> dict[str, Any]:
    if int(case.name) not in treatment:
        raise ValueError(f"{case}: patient {int(case.name)} is not in the treatment data.")
    where, row = treatment[int(case.name)]
    delay = number(where, DELAY, row[header(DELAY)])
    return {
        "rt_start_day": None if delay is None else 7 * delay,
        "dose_gy": dose_gy(where, DOSE, row[header(DOSE)]),
        "fractions": whole_number(where, FRACTIONS, row[header(FRACTIONS)]),
    }


def _record(
    case: Path,
    time: str,
    files: dict[str, Path],
    scheme: str,
    week: float | None,
    course: dict[str, Any],
) -> VisitRecord:
    absent = [part for part in ("t1gd", "gtv", "brain_mask") if part not in files]
    if absent:
        raise ValueError(
            f"{case}: {time} has no {', '.join(absent)}; {EXPECTED}, found "
            f"{sorted(p.name for p in files.values())}."
        )
    if week is None:
        raise ValueError(f"{case}: {time} has no week in {next(iter(TABLES))}.")
    return VisitRecord(
        patient=f"CFB-GBM-{int(case.name):03d}",
        session=time,
        images={c: files[part] for part, c in CONTRAST.items() if part in files},
        seg=files["gtv"],
        masks={1: files["gtv"]},
        label_scheme=scheme,
        day=7 * week,
        source="CFB-GBM",
        age_group="adult",
        brain_mask=files["brain_mask"],
        **course,
    )

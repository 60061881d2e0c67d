"""Folders of growth forecasts by any program: the maps and sizes of held-out visits.

    my_model/
      P01/120.nii.gz   probability map in [0, 1] or mask, in the space of the patient's last visit
      P02.nii.gz       for the patient's last day in the table (PREDICT-GBM's /mlcube_io1)
      sizes.csv        patient, day, median_mm3; optional low_mm3, high_mm3 (95% interval)

See `docs/enter-your-model.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mechlearn.data.labels import CAVITY, SCHEMES
from mechlearn.data.manifest import read_manifest
from mechlearn.data.tables import header_of, number, read_rows

__all__ = ["ENDINGS", "HeldOut", "SizeEntry", "map_path", "read_held_out", "read_sizes"]

ENDINGS = (".nii.gz", ".nii")
CASE_COLUMNS = ("patient", "day", "truth", "last", "brain")
SIZE_COLUMNS = ("patient", "day", "median_mm3", "low_mm3", "high_mm3")
SIZES = "sizes.csv"


@dataclass(frozen=True)
class HeldOut:
    """One held-out visit: paths of its segmentation and of that of the last visit before it.

    Attributes:
        patient: name.
        day: of the held-out visit; None where the table has no day.
        truth, last: segmentations of the held-out visit and of the last visit before it.
        brain: brain mask or skull-stripped image, `template`, or '' for unknown.
        cavity: label of the resection cavity, None where there is none.
        is_last: whether it is the last held-out visit of the patient.
    """

    patient: str
    day: float | None
    truth: str
    last: str
    brain: str = ""
    cavity: int | None = None
    is_last: bool = True

    @property
    def name(self) -> str:
        return self.patient if self.day is None else f"{self.patient}, day {self.day:g}"


@dataclass(frozen=True)
class SizeEntry:
    """A model's forecast of the volume in mm3, with its 95% interval where given."""

    median: float
    low: float | None = None
    high: float | None = None


def read_held_out(path: str | Path, *, cavity: int | None = None) -> list[HeldOut]:
    """The held-out visits, from a manifest of visits or from a table of cases.

    With a manifest (columns in `data.manifest`) every visit except a patient's first is held out,
    and the visit before it is its last visit. A table of cases has the columns patient, truth, last
    and optionally day and brain; paths are relative to the table.

    Args:
        path: the CSV.
        cavity: label of the resection cavity in a table of cases; a manifest gives it by its label
            scheme.

    Raises:
        FileNotFoundError: a missing table, or a missing file in it.
        ValueError: columns of neither format, or no patient with two visits.
    """
    path = Path(path)
    if "seg" in header_of(path, what="cases"):
        found = _from_manifest(path)
    else:
        found = _from_cases(path, cavity)
    if not found:
        raise ValueError(f"{path}: no patient with two visits, so nothing is held out.")
    return found


def _from_manifest(path: Path) -> list[HeldOut]:
    out: list[HeldOut] = []
    for patient, group in groupby(sorted(read_manifest(path), key=lambda r: r.patient),
                                  key=lambda r: r.patient):  # fmt: skip
        visits = list(group)
        if visits[0].day is not None:
            visits.sort(key=lambda r: r.day or 0.0)
        for before, after in zip(visits, visits[1:], strict=False):
            if before.masks or after.masks:
                raise ValueError(f"{path}: {patient}: several masks in `seg`; join them in one "
                                 "label file to score forecasts.")  # fmt: skip
            image = before.brain_mask or next(iter(before.images.values()))
            scheme = SCHEMES[before.label_scheme]
            hole = next((k for k, v in scheme.items() if v == CAVITY), None)
            out.append(HeldOut(patient, after.day, str(after.seg), str(before.seg), str(image),
                               hole, after is visits[-1]))  # fmt: skip
    return out


def _from_cases(path: Path, cavity: int | None) -> list[HeldOut]:
    def lacking(header: Sequence[str]) -> list[str]:
        return [c for c in ("patient", "truth", "last") if c not in header]

    def at(cell: str) -> str:
        return cell if cell in ("", "template") else str(path.parent / cell)

    rows = read_rows(path, what="cases", columns=CASE_COLUMNS, missing=lacking)
    days = [number(where, "day", cells.get("day", "")) for where, cells in rows]
    latest: dict[str, float] = {}
    for (_, cells), day in zip(rows, days, strict=True):
        name = cells["patient"]
        latest[name] = max(latest.get(name, float("-inf")), day if day is not None else 0.0)
    return [
        HeldOut(cells["patient"], day, at(cells["truth"]), at(cells["last"]),
                at(cells.get("brain", "")), cavity,
                (day if day is not None else 0.0) == latest[cells["patient"]])
        for (_, cells), day in zip(rows, days, strict=True)
    ]  # fmt: skip


def map_path(folder: Path, case: HeldOut) -> Path | None:
    """The model's map of a held-out visit; None where there is none.

    `<patient>/<day>` is tried first. `<patient>`, or the patient's name without `Patient-` as
    PREDICT-GBM writes it, is the map of the patient's last visit.
    """
    names = [] if case.day is None else [f"{case.patient}/{case.day:g}"]
    if case.is_last:
        names += [case.patient, case.patient.removeprefix("Patient-")]
    for name in names:
        for ending in ENDINGS:
            if (folder / f"{name}{ending}").is_file():
                return folder / f"{name}{ending}"
    return None


def read_sizes(folder: str | Path) -> dict[tuple[str, float], SizeEntry]:
    """(patient, day) -> size from a model's `sizes.csv`; empty without this file.

    Raises:
        ValueError: a column is missing, a cell is not a number, or a median lies outside its
            interval.
    """
    path = Path(folder) / SIZES
    if not path.is_file():
        return {}

    def lacking(header: Sequence[str]) -> list[str]:
        return [c for c in SIZE_COLUMNS[:3] if c not in header]

    out = {}
    for where, cells in read_rows(path, what="sizes", columns=SIZE_COLUMNS, missing=lacking):
        values = {k: number(where, k, cells.get(k, "")) for k in SIZE_COLUMNS[1:]}
        day, median = values["day"], values["median_mm3"]
        low, high = values["low_mm3"], values["high_mm3"]
        if day is None or median is None:
            raise ValueError(f"{where}: day and median_mm3 are needed. Fill them in.")
        if (low is not None and low > median) or (high is not None and high < median):
            raise ValueError(f"{where}: low_mm3={low}, median_mm3={median}, high_mm3={high}: the "
                             "median must lie in the interval.")  # fmt: skip
        out[cells["patient"], day] = SizeEntry(median, low, high)
    return out

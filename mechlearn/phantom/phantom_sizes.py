"""Tumour sizes of phantom patients over time, without images: seconds a patient.

    python -m mechlearn.phantom.phantom_sizes OUT.csv --patients 40 --workers 2

writes a table of sizes of the growing slices (as in the paper) of the `series` split (or of
`test`). Finished patients are stored as JSON in OUT.csv.parts/, with the areas of all slices and
the true parameters.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mechlearn.checks import positive
from mechlearn.data.selection import growing
from mechlearn.data.size_table import write_series
from mechlearn.files import read_json, write_json
from mechlearn.phantom.phantom_patient import each_patient, simulate
from mechlearn.phantom.phantom_spec import SERIES, PatientKey, PhantomSpec
from mechlearn.progress import progress
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

__all__ = ["PatientSeries", "measure", "phantom_series", "tracked_series"]

log = logging.getLogger(__name__)

_DRAWN_BY = ("seed", "voxel_mm", "train_visits", "test_visits")  # settings that change areas


@dataclass(frozen=True)
class PatientSeries:
    """Tumour areas of all axial slices of a phantom patient at all visits.

    `areas_mm2` is (V, Z) with z as in the volumes of `write_cohort`; `truth` is as in its JSON
    files.
    """

    patient: str
    sessions: tuple[str, ...]
    days: tuple[float, ...]
    areas_mm2: np.ndarray
    truth: dict[str, Any]

    @property
    def courses(self) -> tuple[Radiotherapy, ...]:
        course = self.truth["course"]
        if course["rt_start_day"] is None:
            return ()
        days = float(course["rt_start_day"]), float(course["rt_end_day"])
        return (Radiotherapy(*days, course["dose_gy"], course["fractions"]),)

    def timelines(
        self, *, count: int = 5, min_growth: float | None = 0.10
    ) -> tuple[SizeSeries, ...]:
        """Series of the slices that `selection.growing` chooses, with names as in a slice store."""
        return tuple(
            SizeSeries(
                f"{self.patient}/z{z:03d}",
                self.patient,
                tuple(map(SizeReading, self.days, self.areas_mm2[:, z].tolist(), self.sessions)),
                self.courses,
            )
            for z in growing(self.areas_mm2, count=count, min_growth=min_growth)
        )


@torch.no_grad()
def measure(spec: PhantomSpec, key: PatientKey) -> PatientSeries:
    """Simulate one patient and measure its slices."""
    patient = simulate(spec, key)
    shape, (_, _, z) = patient.grid.in_field()
    sessions, days, areas = [], [], []
    for visit in patient.visits:
        sessions.append(visit.session)
        days.append(float(visit.day))
        areas.append(np.zeros(shape[2]))
        areas[-1][z] = (visit.labels > 0).sum(axis=(0, 1)) * spec.voxel_mm**2
    return PatientSeries(key.name, tuple(sessions), tuple(days), np.stack(areas), patient.truth)


def phantom_series(
    spec: PhantomSpec,
    keys: Iterable[PatientKey],
    *,
    workers: int = 1,
    count: int = 5,
    min_growth: float | None = 0.10,
    parts: Path | None = None,
) -> Iterator[tuple[PatientKey, tuple[SizeSeries, ...]]]:
    """(key, series of growing slices) of phantom patients, in order of completion; may be empty.

    Args:
        spec: seed, voxel size and visits; `spec.patients("series")` gives keys.
        keys: patients.
        workers: number of processes, with one torch thread each.
        count, min_growth: see `selection.growing`.
        parts: folder of finished patients, which come first and are not computed again.

    Raises:
        ValueError: `parts` holds a patient of another spec.
    """
    positive("workers", workers)
    keys = list(keys)
    done = {key: _read_part(parts, spec, key) for key in keys if _is_done(parts, key)}
    for key, series in done.items():
        yield key, series.timelines(count=count, min_growth=min_growth)
    todo = [key for key in keys if key not in done]
    for key, series in each_patient(partial(_measure, spec, parts), todo, workers=workers):
        yield key, series.timelines(count=count, min_growth=min_growth)


def tracked_series(
    spec: PhantomSpec,
    keys: Sequence[PatientKey],
    *,
    parts: Path,
    workers: int = 1,
    count: int = 5,
    min_growth: float | None = 0.10,
) -> dict[PatientKey, tuple[SizeSeries, ...]]:
    """All results of `phantom_series`, in the order of `keys`, with progress in the log."""
    todo = {key for key in keys if not _is_done(parts, key)}
    found: dict[PatientKey, tuple[SizeSeries, ...]] = {}
    with progress("phantom series", len(todo), logger=log) as advance:
        for key, timelines in phantom_series(spec, keys, workers=workers, parts=parts,
                                             count=count, min_growth=min_growth):
            found[key] = timelines
            advance(int(key in todo), note=key.name)
    return {key: found[key] for key in keys}


def _measure(spec: PhantomSpec, parts: Path | None, key: PatientKey) -> PatientSeries:
    series = measure(spec, key)
    if parts is not None:
        card = asdict(series) | {"areas_mm2": series.areas_mm2.tolist(), "spec": _drawn_by(spec)}
        write_json(parts / f"{key.name}.json", card, indent=None)
    return series


def _is_done(parts: Path | None, key: PatientKey) -> bool:
    return parts is not None and (parts / f"{key.name}.json").is_file()


def _read_part(parts: Path | None, spec: PhantomSpec, key: PatientKey) -> PatientSeries:
    assert parts is not None
    path = parts / f"{key.name}.json"
    card = read_json(path)
    theirs, mine = card.pop("spec"), _drawn_by(spec)
    for name in _DRAWN_BY:
        if theirs[name] != mine[name]:
            raise ValueError(
                f"{path}: computed with {name}={theirs[name]!r}, but the setting is "
                f"{mine[name]!r}. Write another file or remove {parts}."
            )
    lists = {name: tuple(card[name]) for name in ("sessions", "days")}
    return PatientSeries(**card | lists | {"areas_mm2": np.array(card["areas_mm2"])})


def _drawn_by(spec: PhantomSpec) -> dict[str, Any]:
    card = {name: getattr(spec, name) for name in _DRAWN_BY}
    return card | {"test_visits": list(spec.test_visits)}


def _growth(text: str) -> float | None:
    return None if text == "none" else float(text)


def main(arguments: Sequence[str] | None = None) -> None:
    spec = PhantomSpec()
    parser = argparse.ArgumentParser(
        prog="python -m mechlearn.phantom.phantom_sizes",
        description="Write tumour sizes of phantom patients as CSV; run again to resume.",
    )
    parser.add_argument("out", type=Path, help="CSV file")
    parser.add_argument("--split", default=SERIES, choices=(SERIES, "test"))
    parser.add_argument("--patients", type=int, help="number of patients (default: all)")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--count", type=int, default=5, help="number of slices a patient")
    parser.add_argument("--min-growth", type=_growth, default=0.10,
                        help="relative growth a slice must exceed; none keeps all (0.10)")
    parser.add_argument("--voxel-mm", type=float, default=spec.voxel_mm, help="voxel size (1.5)")
    parser.add_argument("--seed", type=int, default=spec.seed)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    size = {} if given.patients is None else {f"n_{given.split}": given.patients}
    spec = PhantomSpec(voxel_mm=given.voxel_mm, seed=given.seed, **size)
    keys = spec.patients(given.split)
    parts = given.out.with_name(f"{given.out.name}.parts")
    found = tracked_series(spec, keys, workers=given.workers, parts=parts, count=given.count,
                           min_growth=given.min_growth)
    rows = [timeline for series in found.values() for timeline in series]
    write_series(rows, given.out)
    log.info("%s: %d slices of %d patients, %d without a slice that grows", given.out, len(rows),
             len(keys), sum(not found[key] for key in keys))


if __name__ == "__main__":
    main()

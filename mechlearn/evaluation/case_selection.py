"""Selection of the slices of an evaluation: first visits, and pairs of consecutive visits."""

from __future__ import annotations

import logging

from mechlearn.data.selection import growth_slices, pair_rows, spread
from mechlearn.data.store import SliceRow
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.patient_forecast import choose_slices
from mechlearn.records import AxialSlice, LongitudinalSlice

__all__ = ["first_visits", "followed_slices", "visit_pairs"]

log = logging.getLogger(__name__)


def first_visits(job: Job) -> list[AxialSlice]:
    """`task.count` tumour slices of the first visit of each patient, at most `task.slices`."""
    return spread([_first_visit(job, patient) for patient in job.patients], job.task.slices)


def _first_visit(job: Job, patient: str) -> list[AxialSlice]:
    session = job.slices.visits(patient)[0].session
    try:
        wanted = choose_slices(job.slices, patient, session=session, count=job.task.count)
    except ValueError as error:  # no tumour at the first visit
        log.warning("left out: %s", error)
        return []
    rows = {row.z: row for row in job.slices.slices(patient=patient, session=session)}
    return [job.slices.read(rows[z], surroundings=True) for z in wanted]


def visit_pairs(job: Job) -> list[tuple[AxialSlice, AxialSlice]]:
    """(reference, follow-up): slices of consecutive visits that change by `task.min_change` or more
    and grow by `task.min_growth`; at most `task.slices`, spread over the patients.

    Raises:
        ValueError: no pair changes enough.
    """
    task = job.task
    groups: dict[str, list[tuple[SliceRow, SliceRow]]] = {patient: [] for patient in job.patients}
    for before, after in pair_rows(
        job.slices, task.split, count=task.count, min_area_mm2=task.min_area_mm2,
        min_growth=task.min_growth,
    ):  # fmt: skip
        change = abs(after.tumour_area_mm2 / before.tumour_area_mm2 - 1)
        if before.patient in groups and change >= task.min_change:
            groups[before.patient].append((before, after))
    chosen = spread(list(groups.values()), task.slices)
    if not chosen:
        raise ValueError(
            f"task.min_change={task.min_change:g}, task.min_growth={task.min_growth}: no pair of "
            f"consecutive visits of {len(job.patients)} patients in split {task.split} changes "
            "enough. Lower these values, or give task.multiples for patients with one visit."
        )
    store = job.slices
    return [(store.read(before, surroundings=True), store.read(after)) for before, after in chosen]


def followed_slices(job: Job) -> list[LongitudinalSlice]:
    """Slices over all visits of their patient, those that grow by `task.min_growth` (sec. 3.2)."""
    task = job.task
    groups = [
        growth_slices(
            job.slices, patient, count=task.count, min_area_mm2=task.min_area_mm2,
            min_growth=0.0 if task.min_growth is None else task.min_growth,
            rt_duration_days=job.growth.rt_duration_days,
        )
        for patient in job.patients
    ]
    return spread(groups, task.slices)

"""Rules on days and treatment: from the manifest's rows, no image is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise

from mechlearn.data.courses import courses
from mechlearn.data.day_cells import DATE_LIKE
from mechlearn.data.manifest import VisitRecord, check_records
from mechlearn.data.validation.findings import Check, Finding
from mechlearn.records import Radiotherapy

__all__ = ["date_findings"]

CLOSE_DAYS = 1.0
FAR_DAYS = 3650.0
DOSE_GY = (5.0, 90.0)
GY_PER_FRACTION = (1.0, 24.0)
COURSE_DAYS = 120.0
FRACTIONS_A_DAY = 3.0

ROWS = Check(
    "rows that contradict each other", "error",
    "a session stands once; all or none of a patient's visits have days; courses agree",
    "Mend the rows of this patient in the manifest or table.",
)  # fmt: skip
NO_DAYS = Check(
    "visits without days", "warning",
    "growth is fitted to days (images alone can be trained on without them)",
    "Fill in the day column: days since the patient's first visit.",
)  # fmt: skip
FIRST_DAY = Check(
    "first visit is not day 0", "warning", "days count from the patient's first visit",
    "Subtract the first visit's day from all days of the patient, RT and surgery included.",
)  # fmt: skip
CLOSE = Check(
    "visits less than a day apart", "warning", f"visits lie {CLOSE_DAYS:g} day or more apart",
    "Check the days; drop one of two series of the same scan.",
)  # fmt: skip
ORDER = Check(
    "sessions in another order than days", "warning", "later sessions have later days",
    "Check the days against the source: two rows may be swapped.",
)  # fmt: skip
FAR = Check(
    "days implausibly far", "warning", f"visits of a patient lie within {FAR_DAYS:g} days",
    "Check the unit (days, not dates) and the row.",
)  # fmt: skip
DOSE = Check(
    "implausible dose", "warning",
    f"{DOSE_GY[0]:g} to {DOSE_GY[1]:g} Gy in fractions of {GY_PER_FRACTION[0]:g} to "
    f"{GY_PER_FRACTION[1]:g} Gy, such as 60 Gy in 30",
    "Check the unit (Gy, not cGy) and the number of fractions.",
)  # fmt: skip
COURSE = Check(
    "implausible course", "warning",
    f"a course lasts {COURSE_DAYS:g} days at most and gives {FRACTIONS_A_DAY:g} fractions a day "
    "at most",
    "Check rt_start_day, rt_end_day and fractions.",
)  # fmt: skip
ONLY_END = Check(
    "RT start not given", "note", "a course has a start; else it counts as 42 days before its end",
    "Give rt_start_day where it is known.",
)  # fmt: skip
AFTER = Check(
    "treatment after the last visit", "note", "treatment shows in later visits alone",
    "Nothing to do, if the days are right.",
)  # fmt: skip


def date_findings(records: Sequence[VisitRecord]) -> Iterator[Finding]:
    """Days, radiotherapy and surgery of every patient."""
    ordered = sorted(records, key=lambda r: r.patient)
    for patient, group in groupby(ordered, key=lambda r: r.patient):
        visits = list(group)
        try:
            check_records(visits, where="")
        except ValueError as error:
            yield ROWS.of(patient, str(error).removeprefix(f": patient={patient}").lstrip(": "))
        dated = sorted((v for v in visits if v.day is not None), key=_day)
        if len(visits) > 1 and not dated:
            yield NO_DAYS.of(patient, f"{len(visits)} visits, none with a day")
        yield from _days(dated)
        yield from _treatment(patient, visits)


def _day(record: VisitRecord) -> float:
    return record.day or 0.0


def _days(visits: Sequence[VisitRecord]) -> Iterator[Finding]:
    if not visits:
        return
    if _day(visits[0]) != 0.0:
        yield FIRST_DAY.at(visits[0], f"day {_day(visits[0]):g}")
    for earlier, later in pairwise(visits):
        gap = _day(later) - _day(earlier)
        if gap < CLOSE_DAYS:
            found = f"day {_day(later):g}, session {earlier.session} on day {_day(earlier):g}"
            yield CLOSE.at(later, found)
        elif _natural(later.session) < _natural(earlier.session):
            found = f"day {_day(later):g}, after session {earlier.session} on {_day(earlier):g}"
            yield ORDER.at(later, found)
    for visit in visits:
        since = _day(visit) - _day(visits[0])
        if since > FAR_DAYS:
            hint = " (a date or a serial number?)" if since > DATE_LIKE else ""
            yield FAR.at(visit, f"{since:g} days after the first visit{hint}")


def _natural(session: str) -> list[tuple[int, str]]:
    """Sessions by their numbers: week-9 before week-10."""
    return [(int(n or -1), word) for word, n in re.findall(r"(\D*)(\d*)", session)]


def _treatment(patient: str, visits: Sequence[VisitRecord]) -> Iterator[Finding]:
    days = [v.day for v in visits if v.day is not None]
    last = max(days, default=None)
    for visit in visits:
        if visit.rt_start_day is None and visit.rt_end_day is not None:
            yield ONLY_END.at(visit, f"ends on day {visit.rt_end_day:g}")
        if visit.surgery_day is not None and last is not None:
            yield from _late(AFTER.at, visit, "surgery", visit.surgery_day, last)
    try:
        known = courses(visits, where=patient)
    except ValueError:
        return  # told by ROWS
    for course in known:
        yield from (DOSE.of(patient, found) for found in _odd_dose(course))
        yield from (COURSE.of(patient, found) for found in _odd_course(course))
        if last is not None and course.start_day > last:
            yield AFTER.of(patient, f"RT from day {course.start_day:g}, last visit day {last:g}")


def _late(
    at: Callable[..., Finding], visit: VisitRecord, what: str, day: float, last: float
) -> Iterator[Finding]:
    if abs(day) > FAR_DAYS:
        yield FAR.at(visit, f"{what} on day {day:g}")
    elif day > last:
        yield at(visit, f"{what} on day {day:g}, last visit day {last:g}")


def _odd_dose(course: Radiotherapy) -> Iterator[str]:
    dose, n = course.dose_gy, course.fractions
    if dose is not None and not DOSE_GY[0] <= dose <= DOSE_GY[1]:
        yield f"{dose:g} Gy" + (" (cGy?)" if dose >= 500 else "")
    elif dose is not None and n is not None:
        each = dose / n
        if not GY_PER_FRACTION[0] <= each <= GY_PER_FRACTION[1]:
            yield f"{dose:g} Gy in {n} fractions, {each:.3g} Gy each"


def _odd_course(course: Radiotherapy) -> Iterator[str]:
    if course.end_day is None:
        return
    days = course.end_day - course.start_day + 1
    if days > COURSE_DAYS:
        yield f"days {course.start_day:g} to {course.end_day:g}: {days:g} days"
    if course.fractions is not None and course.fractions > FRACTIONS_A_DAY * days:
        yield f"{course.fractions} fractions in {days:g} days"

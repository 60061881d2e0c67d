"""Counterfactual forecasts: sizes under a changed course of radiotherapy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mechlearn.checks import finite, in_range
from mechlearn.evaluation.rows import Row
from mechlearn.growth.counterfactual import what_if
from mechlearn.growth.ensemble_forecast import members_for
from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.population_file import load_ensemble
from mechlearn.records import Counterfactual, Radiotherapy, SizeSeries

__all__ = [
    "WHAT_IF",
    "CourseChange",
    "RefusedChangeError",
    "forecast_changed",
    "responding",
    "what_if_row",
]

WHAT_IF = ("what_if_median_mm2", "what_if_low_mm2", "what_if_high_mm2")  # keys of a row
LIMITS = {"dose_gy": (0.1, 100.0), "fractions": (1, 100)}  # of one course
UNIT = {"dose_gy": "The unit is Gy, not cGy: 60, not 6000.", "fractions": "30 is usual."}
GIVE = "Give what_if.rt_start_day, or what_if.dose_gy with what_if.fractions, or what_if.rt=false."


class RefusedChangeError(ValueError):
    """A change that a patient's courses or the growth model do not allow, for all slices."""


@dataclass(frozen=True)
class CourseChange:
    """A changed course of radiotherapy; None keeps the actual value.

    Attributes:
        rt: False for no radiotherapy.
        rt_start_day: first day of the changed course; its length does not change.
        dose_gy, fractions: of the changed course, both or neither.
        course: number of the changed course, from 1; None for the last.
    """

    rt: bool | None = None
    rt_start_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None
    course: int | None = None

    def __post_init__(self) -> None:
        changed = self._given("rt_start_day", "dose_gy", "fractions")
        if self.rt is False and (others := {**changed, **self._given("course")}):
            raise ValueError(
                f"what_if.rt=false with {_listed(others)}: without radiotherapy there is no course "
                "to change. Remove what_if.rt=false or the other keys."
            )
        if self.rt is not False and not changed:
            raise ValueError(f"{_listed(self._given('rt', 'course'))}: no change is given. {GIVE}")
        if self.rt_start_day is not None:
            finite("what_if.rt_start_day", self.rt_start_day)
        if self.course is not None:
            in_range("what_if.course", self.course, 1, 1000, remedy="1 is the first course.")
        for key, other in (("dose_gy", "fractions"), ("fractions", "dose_gy")):
            if key in changed:
                in_range(f"what_if.{key}", changed[key], *LIMITS[key], remedy=UNIT[key])
                if other not in changed:
                    raise ValueError(
                        f"what_if.{key}={changed[key]:g}, what_if.{other}=null: the effect of a "
                        f"dose depends on both. Give what_if.{other} too."
                    )

    def _given(self, *keys: str) -> dict[str, float]:
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    def applied(self, actual: Sequence[Radiotherapy], *, patient: str) -> tuple[Radiotherapy, ...]:
        """The courses after the change.

        Raises:
            RefusedChangeError: the patient has no such course, its day passes that of another
                course, or the change gives the actual courses.
        """
        where = f"what_if, patient {patient}"
        if not actual:
            if self.rt_start_day is None or self.course is not None:
                raise RefusedChangeError(
                    f"{where}: the patient has no course of radiotherapy to change. Give only "
                    "what_if.rt_start_day, or fill in the patient's rt_start_day."
                )
            return (Radiotherapy(self.rt_start_day, None, self.dose_gy, self.fractions),)
        if self.rt is False:
            return ()
        for course in actual:
            if course.dose_gy is not None and course.dose_gy > LIMITS["dose_gy"][1]:
                raise RefusedChangeError(
                    f"{where}: the actual course has dose_gy={course.dose_gy:g}, which is too "
                    f"large for one course. {UNIT['dose_gy']} Correct the manifest."
                )
        at = self._index(actual, where)
        other = (*actual[:at], self._changed(actual[at]), *actual[at + 1 :])
        if other == tuple(actual):
            raise RefusedChangeError(f"{where}: this is the actual course. Give another one.")
        if any(b.start_day <= a.start_day for a, b in pairwise(other)):
            raise RefusedChangeError(
                f"{where}: what_if.rt_start_day={self.rt_start_day:g} moves course {at + 1} past "
                f"another course ({_days(actual)}). Give a day between the other courses."
            )
        return other

    def _index(self, actual: Sequence[Radiotherapy], where: str) -> int:
        number = len(actual) if self.course is None else self.course
        if number > len(actual):
            raise RefusedChangeError(
                f"{where}: what_if.course={number}, but there are {len(actual)} course(s) "
                f"({_days(actual)}). Give one of them, or null for the last."
            )
        return number - 1

    def _changed(self, course: Radiotherapy) -> Radiotherapy:
        new = self._given("dose_gy", "fractions")
        if self.rt_start_day is not None:
            later = self.rt_start_day - course.start_day
            new["start_day"] = self.rt_start_day
            if course.end_day is not None:
                new["end_day"] = course.end_day + later
        return dataclasses.replace(course, **new)  # type: ignore[arg-type]

    def words(self, actual: Sequence[Radiotherapy]) -> str:
        """The change as text, for a legend."""
        if self.rt is False:
            return "no radiotherapy"
        if not actual:
            return f"radiotherapy from day {self.rt_start_day:g} (there was none)"
        number = len(actual) if self.course is None else self.course
        was, parts = actual[number - 1], []
        if self.rt_start_day is not None:
            parts.append(f"from day {self.rt_start_day:g} instead of {was.start_day:g}")
        if self.dose_gy is not None and was.dose_gy is not None:
            parts.append(f"{self.dose_gy:g} Gy in {self.fractions} fractions instead of "
                         f"{was.dose_gy:g} Gy in {was.fractions}")  # fmt: skip
        which = f" (course {number} of {len(actual)})" if len(actual) > 1 else ""
        return f"radiotherapy{which} " + ", ".join(parts)


def _listed(values: dict[str, float]) -> str:
    return ", ".join(f"what_if.{key}={str(v).lower()}" for key, v in values.items())


def _days(courses: Sequence[Radiotherapy]) -> str:
    return "from day " + ", ".join(f"{c.start_day:g}" for c in courses)


def responding(growth: GrowthSpec) -> dict[str, bool]:
    """Growth model of a forecast -> whether it includes radiotherapy."""
    if growth.population is None:
        laws = [growth.resolve()]
    else:
        ensemble = load_ensemble(growth.population)
        laws = [member.population.law for member in members_for(growth, ensemble)]
    return {law.name: law.knows_radiotherapy for law in laws}


def forecast_changed(
    timeline: SizeSeries, day: float, *, growth: GrowthSpec, change: CourseChange
) -> Counterfactual:
    """`growth.counterfactual` of one slice under changed courses.

    Raises:
        RefusedChangeError: the patient's courses or the growth model do not allow the change.
        DegenerateSeriesError, RuntimeError: as for the forecast.
    """
    other = change.applied(timeline.courses, patient=timeline.patient)
    try:
        made = what_if(timeline, day, spec=growth, courses=other)
    except DegenerateSeriesError:
        raise
    except ValueError as error:
        raise RefusedChangeError(str(error)) from error
    responds = responding(growth)
    unmoved = sum(share for law, share in made.weights.items() if not responds[law])
    return Counterfactual(change.words(timeline.courses), other, made, unmoved)


def what_if_row(other: Counterfactual | None) -> Row:
    """Text (`what_if`) and sizes (keys of WHAT_IF) of a counterfactual; empty for None."""
    if other is None:
        return {}
    low, high = other.forecast.interval()
    sizes = dict(zip(WHAT_IF, (other.forecast.median, low, high), strict=True))
    return {"what_if": other.change, **sizes}

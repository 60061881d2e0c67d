"""A patient: visits in order of day, courses of radiotherapy, other treatments, covariates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

from mechlearn.checks import finite, one_of, positive

__all__ = ["TREATMENTS", "Patient", "Radiotherapy", "Treatment", "Visit", "check_courses"]

TREATMENTS = ("surgery", "chemotherapy", "immunotherapy", "other")


@dataclass(frozen=True)
class Radiotherapy:
    """One course: days since the first visit, total dose in Gy, number of fractions."""

    start_day: float
    end_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None

    def __post_init__(self) -> None:
        finite("rt_start_day", self.start_day)
        if self.dose_gy is not None:
            positive("dose_gy", self.dose_gy)
        if self.fractions is not None:
            positive("fractions", self.fractions)
        if self.end_day is not None and not self.end_day >= self.start_day:
            raise ValueError(
                f"rt_end_day={self.end_day:g} lies before rt_start_day={self.start_day:g}. "
                "Swap or correct the dates."
            )


@dataclass(frozen=True)
class Treatment:
    """A treatment other than radiotherapy, in days since the first visit.

    Attributes:
        kind: one of `TREATMENTS`.
        start_day: first day, or the day of an operation.
        end_day: last day; None for a single day or where it is not known.
    """

    kind: str
    start_day: float
    end_day: float | None = None

    def __post_init__(self) -> None:
        one_of("treatment.kind", self.kind, TREATMENTS)
        finite("treatment.start_day", self.start_day)
        if self.end_day is not None and not self.end_day >= self.start_day:
            raise ValueError(
                f"{self.kind}: end_day={self.end_day:g} lies before start_day={self.start_day:g}. "
                "Swap or correct the dates."
            )


@dataclass(frozen=True)
class Visit:
    """One examination: its day, its files and its measured sizes.

    Attributes:
        session: name of the visit, unique within the patient.
        day: days since the first visit; None where the data set gives no dates.
        images: contrast (t1n, t1c, t2w, t2f) -> NIfTI file.
        seg: segmentation; None where only sizes are known.
        label_scheme: meaning of the labels of `seg` (`data.labels.SCHEMES`).
        brain_mask: needed where the images are not skull-stripped.
        masks: label -> binary mask, where the segmentation is several files.
        volumes_mm3: compartment (whole, enhancing, flair) -> volume.
    """

    session: str
    day: float | None
    images: Mapping[str, Path] = field(default_factory=dict)
    seg: Path | None = None
    label_scheme: str = ""
    brain_mask: Path | None = None
    masks: Mapping[int, Path] = field(default_factory=dict)
    volumes_mm3: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """The visits of one patient, with treatments and covariates.

    Attributes:
        name: identifier.
        visits: in order of day, at least one.
        radiotherapy: courses in order of their start.
        treatments: surgery, chemotherapy, immunotherapy and others.
        covariates: data of the patient, such as age, idh, grade, mgmt.
        first_date: date of the first visit (day 0), where the source has dates.

    Raises:
        ValueError: no visit; visits or courses out of order; two visits with one session name.
    """

    name: str
    visits: tuple[Visit, ...]
    radiotherapy: tuple[Radiotherapy, ...] = ()
    treatments: tuple[Treatment, ...] = ()
    covariates: Mapping[str, float | str] = field(default_factory=dict)
    first_date: dt.date | None = None

    def __post_init__(self) -> None:
        if not self.visits:
            raise ValueError(f"patient {self.name}: no visit; at least one is needed.")
        check_courses(f"patient {self.name}", self.radiotherapy)
        sessions = [visit.session for visit in self.visits]
        twice = sorted({s for s in sessions if sessions.count(s) > 1})
        if twice:
            raise ValueError(
                f"patient {self.name}: two visits have session {twice[0]}. Rename one."
            )
        days = [visit.day for visit in self.visits if visit.day is not None]
        if days != sorted(days):
            raise ValueError(
                f"patient {self.name}: visits on days {days} are not in order. Sort them by day."
            )

    def before(self, day: float) -> Patient:
        """The patient with only the visits strictly before `day`.

        Raises:
            ValueError: a visit without a day; no visit before `day`.
        """
        undated = [v.session for v in self.visits if v.day is None]
        if undated:
            raise ValueError(
                f"patient {self.name}: sessions {undated} have no day, and a forecast needs dates. "
                "Fill in the column `day`."
            )
        kept = tuple(v for v in self.visits if v.day is not None and v.day < day)
        if not kept:
            raise ValueError(
                f"patient {self.name}: no visit before day {day:g}; the first is on day "
                f"{self.visits[0].day:g}. Give a later day."
            )
        return replace(self, visits=kept)


def check_courses(where: str, courses: Sequence[Radiotherapy]) -> None:
    """ValueError unless the courses are sorted by day, each start once."""
    for earlier, later in pairwise(courses):
        if later.start_day <= earlier.start_day:
            raise ValueError(
                f"{where}: a course of radiotherapy on day {later.start_day:g} follows that on day "
                f"{earlier.start_day:g}; courses must be sorted by day, each start once."
            )

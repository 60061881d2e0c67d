"""Courses of radiotherapy for growth models: start days and biologically effective doses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.checks import positive
from mechlearn.records import Radiotherapy

__all__ = ["RT_DURATION_DAYS", "Courses", "effect_gy", "radiotherapy"]

RT_DURATION_DAYS = 42.0  # six weeks, the common course of focal brain irradiation


def radiotherapy(
    start_day: float | None,
    end_day: float | None = None,
    *,
    dose_gy: float | None = None,
    fractions: int | None = None,
    duration_days: float = RT_DURATION_DAYS,
) -> Radiotherapy | None:
    """The course; None where neither day is known.

    Where only the end is known, the start is `duration_days` before it, as in the paper's figures.
    """
    if start_day is None and end_day is None:
        return None
    if start_day is None:
        assert end_day is not None
        start_day = end_day - positive("growth.rt_duration_days", duration_days)
    return Radiotherapy(start_day, end_day, dose_gy, fractions)


def effect_gy(course: Radiotherapy, *, alpha_beta_gy: float) -> float:
    """Biologically effective dose D (1 + d / (alpha/beta)), d = D / fractions, in Gy.

    Linear-quadratic model (Fowler 1989): the surviving fraction is exp(-alpha * effect).

    Raises:
        ValueError: the dose or the number of fractions is not known.
    """
    if course.dose_gy is None or course.fractions is None:
        raise ValueError(
            f"radiotherapy from day {course.start_day:g}: dose_gy={course.dose_gy}, "
            f"fractions={course.fractions}; the linear-quadratic surviving fraction needs both. "
            "Fill them in or use growth.survival=fraction."
        )
    per_fraction = course.dose_gy / course.fractions
    return course.dose_gy * (1 + per_fraction / positive("growth.alpha_beta_gy", alpha_beta_gy))


@dataclass(frozen=True)
class Courses:
    """Courses as arrays that broadcast against days: one entry a course, in order.

    starts: days since the first visit, +inf for a course that a series of a batch lacks;
    effects_gy: biologically effective doses, for the linear-quadratic surviving fraction only.
    """

    starts: tuple[np.ndarray, ...] = ()
    effects_gy: tuple[np.ndarray, ...] = ()

    @classmethod
    def of(
        cls, courses: Sequence[Radiotherapy], *, origin_day: float = 0.0,
        alpha_beta_gy: float | None = None,
    ) -> Courses:
        """From the courses of one series. Without `alpha_beta_gy` doses are not used."""
        starts = tuple(np.asarray(c.start_day - origin_day, float) for c in courses)
        if alpha_beta_gy is None:
            return cls(starts, tuple(np.ones(()) for _ in courses))
        doses = (effect_gy(c, alpha_beta_gy=alpha_beta_gy) for c in courses)
        return cls(starts, tuple(np.asarray(d, float) for d in doses))

    @classmethod
    def stack(cls, several: Sequence[Courses]) -> Courses:
        """From many series: arrays (S, 1), padded with courses that never start."""
        most = max((len(c.starts) for c in several), default=0)

        def column(name: str, k: int, missing: float) -> np.ndarray:
            held = (getattr(c, name) for c in several)
            return np.array([[float(h[k]) if k < len(h) else missing] for h in held])

        return cls(
            tuple(column("starts", k, math.inf) for k in range(most)),
            tuple(column("effects_gy", k, 1.0) for k in range(most)),
        )

    def take(self, rows: np.ndarray) -> Courses:
        """The courses of some rows of a stack."""
        return Courses(
            tuple(s[rows] for s in self.starts), tuple(e[rows] for e in self.effects_gy)
        )

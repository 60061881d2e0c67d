"""One slice's fitting problem: a law on the clock and the scale of its visits, free of dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mechlearn.growth.law import Law
from mechlearn.growth.treatment import Courses
from mechlearn.records import SizeSeries

__all__ = ["DegenerateSeriesError", "FitProblem"]


class DegenerateSeriesError(ValueError):
    """The series does not allow this law to be fitted."""


@dataclass(frozen=True)
class FitProblem:
    """A law on the clock and the scale of one slice: what an engine needs, and no dates.

    days (V,) from the first visit; areas (V,) over the first area `scale_mm2` (the largest where
    the first is zero); `held` parameters stay where they are: no visit can tell about them, or
    they are `fixed` by the user; those `tied` follow an expression in others.
    """

    name: str
    law: Law
    days: np.ndarray
    areas: np.ndarray
    scale_mm2: float
    origin_day: float
    courses: Courses
    held: Mapping[str, float]
    fixed: tuple[str, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, timeline: SizeSeries, law: Law, *, alpha_beta_gy: float | None = None,
        hold: bool = True, fixed: Mapping[str, float] | None = None,
        tied: Mapping[str, str] | None = None,
    ) -> FitProblem:
        """Scale and shift a timeline.

        Args:
            timeline: the visits that are seen.
            law: the law.
            alpha_beta_gy: of the linear-quadratic model, where the law counts doses.
            hold: hold what no visit after radiotherapy tells about; a prior says it otherwise.
            fixed, tied: as in GrowthSpec, checked.

        Raises:
            DegenerateSeriesError: too few visits, one day only, or no tumour where one is needed.
        """
        _refuse_degenerate(timeline, law)
        days, areas = timeline.days, timeline.sizes
        scale = float(areas[0]) or float(areas.max()) or 1.0
        origin = float(days[0])
        sees_rt = any(days[-1] > course.start_day for course in timeline.courses)
        fixed, tied = fixed or {}, tied or {}
        unseen = (p for p in law.parameters if hold and p.after_rt and not sees_rt)
        held = {p.name: p.start for p in unseen if p.name not in tied} | dict(fixed)
        courses = Courses.of(timeline.courses, origin_day=origin, alpha_beta_gy=alpha_beta_gy)
        return cls(
            timeline.name, law, days - origin, areas / scale, scale, origin, courses, held,
            tuple(fixed), dict(tied),
        )  # fmt: skip

    @property
    def free(self) -> tuple[str, ...]:
        return tuple(name for name in self.law.names if name not in self.held)

    def area_mm2(self, values: np.ndarray, days: np.ndarray) -> np.ndarray:
        """mm^2, (..., T), for values (..., P) of all parameters at days (T,) of the timeline."""
        columns = {name: values[..., i] for i, name in enumerate(self.law.names)}
        shifted = np.asarray(days, float) - self.origin_day
        return self.scale_mm2 * self.law.area(shifted, columns, self.courses)

    def named_mm2(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """name -> (...), `initial_area` in mm^2, from values (..., P)."""
        named = {name: values[..., i] for i, name in enumerate(self.law.names)}
        return named | {"initial_area": named["initial_area"] * self.scale_mm2}


def _refuse_degenerate(timeline: SizeSeries, law: Law) -> None:
    days, areas, name = timeline.days, timeline.sizes, timeline.name
    remedy = "Drop the slice, or use growth.law=carry_forward or growth.fallback=carry_forward."
    if days.size < law.min_visits:
        raise DegenerateSeriesError(
            f"timeline {name}: {days.size} visit(s); law {law.name} needs at least "
            f"{law.min_visits}. {remedy}"
        )
    if law.min_visits > 1 and days[-1] == days[0]:
        raise DegenerateSeriesError(
            f"timeline {name}: all {days.size} visits are on day {days[0]:g}; a growth rate needs "
            f"two different days. Mend the dates. {remedy}"
        )
    if law.needs_tumour and areas[0] <= 0:
        raise DegenerateSeriesError(
            f"timeline {name}: area 0 at the first visit (day {days[0]:g}); law {law.name} scales "
            f"the first area. Start the series at the first visit with a tumour. {remedy}"
        )

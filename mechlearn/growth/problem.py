"""One slice's fitting problem: a law on the clock and the scale of its visits, free of dates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.laws import Law, Parameter
from mechlearn.records import Radiotherapy, Timeline

__all__ = ["DegenerateSeriesError", "FitProblem"]

_STEP = 1e-5  # central differences of the (log) parameters


class DegenerateSeriesError(ValueError):
    """The series does not allow this law to be fitted."""


@dataclass(frozen=True)
class FitProblem:
    """A law on the clock and the scale of one slice: what an engine needs, and no dates.

    days (V,) from the first visit; areas (V,) over the first area `scale_mm2`; `free` parameters
    are searched, `held` ones stay; `ridge` as in GrowthSpec.
    """

    slice_id: str
    law: Law
    days: np.ndarray
    areas: np.ndarray
    scale_mm2: float
    origin_day: float
    rt: Radiotherapy | None
    free: tuple[Parameter, ...]
    held: Mapping[str, float]
    ridge: float = 0.0

    @classmethod
    def of(cls, timeline: Timeline, law: Law, *, ridge: float = 0.0) -> FitProblem:
        """Scale and shift a timeline; DegenerateSeriesError where the law cannot be fitted."""
        days, areas = timeline.days, timeline.areas_mm2
        _refuse_degenerate(timeline, law)
        scale = float(areas[0]) or float(areas.max()) or 1.0
        origin = float(days[0])
        rt = timeline.rt
        if rt is not None:
            rt = dataclasses.replace(
                rt,
                start_day=rt.start_day - origin,
                end_day=None if rt.end_day is None else rt.end_day - origin,
            )
        days = days - origin
        blind = rt is None or bool(days[-1] <= rt.start_day)
        held = {p.name: p.start for p in law.parameters if blind and p.after_rt}
        free = tuple(p for p in law.parameters if p.name not in held)
        return cls(
            timeline.slice_id, law, days, areas / scale, scale, origin, rt, free, held, ridge
        )

    def predict(self, values: np.ndarray, days: np.ndarray | None = None) -> np.ndarray:
        """Areas over the first area at `days` for free parameters (P,) or (N, P)."""
        columns = {p.name: values[..., i] for i, p in enumerate(self.free)}
        at = self.days if days is None else days
        return self.law.area(at, {**self.held, **columns}, self.rt)

    def limits(self, areas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (P,), (P,) of the free parameters for measurements `areas` (V,)."""
        first = np.array([areas[0] if p.name == "initial_area" else 1.0 for p in self.free])
        low = np.array([p.low for p in self.free]) * first
        return low, np.array([p.high for p in self.free]) * first

    @property
    def log(self) -> np.ndarray:
        """Which free parameters are fitted as logarithms, (P,) bool."""
        return np.array([p.scale == "log" for p in self.free])

    @property
    def starts(self) -> np.ndarray:
        """The law's own start values of the free parameters, (P,)."""
        return np.array([p.start for p in self.free])

    @property
    def widths(self) -> np.ndarray:
        """Typical distances from the start on the fitted scale, (P,)."""
        return np.array([p.width for p in self.free])

    def coordinates(self, values: np.ndarray) -> np.ndarray:
        """Values (..., P) on the scale they are fitted on: logarithms where `log`."""
        log = self.log
        return np.where(log, np.log(np.where(log, values, 1.0)), values)

    def values(self, coordinates: np.ndarray) -> np.ndarray:
        """The inverse of `coordinates`."""
        log = self.log
        return np.where(log, np.exp(np.where(log, coordinates, 0.0)), coordinates)

    def jacobian(self, coordinates: np.ndarray) -> np.ndarray:
        """d area / d coordinate, (V, P), by central differences in one vectorised call."""
        n = coordinates.size
        steps = np.concatenate([np.eye(n), -np.eye(n)]) * _STEP
        curves = self.predict(self.values(coordinates + steps))
        return np.asarray((curves[:n] - curves[n:]).T / (2 * _STEP))

    def parameters_mm2(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Free (..., P) and held values by name, `initial_area` in mm^2."""
        shape = values.shape[:-1]
        named = {p.name: values[..., i] for i, p in enumerate(self.free)}
        named |= {name: np.full(shape, value) for name, value in self.held.items()}
        named["initial_area"] = named["initial_area"] * self.scale_mm2
        return {name: named[name] for name in self.law.names}


def _refuse_degenerate(timeline: Timeline, law: Law) -> None:
    days, areas, name = timeline.days, timeline.areas_mm2, timeline.slice_id
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

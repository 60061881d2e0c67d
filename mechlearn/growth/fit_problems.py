"""Fit problems of a growth model: of one series, and of many series as padded arrays.

A batch gives the residuals of all its problems and their exact Jacobians. The coordinate of a
parameter is its logarithm where its scale is `log`, otherwise the parameter itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mechlearn.growth.derivatives import Dual
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.measurement_noise import Whitening
from mechlearn.growth.treatment import Courses
from mechlearn.records import SizeSeries

__all__ = ["Batch", "DegenerateSeriesError", "FitProblem", "Objective", "Tasks"]


class DegenerateSeriesError(ValueError):
    """This growth model cannot be fitted to the series."""


@dataclass(frozen=True)
class FitProblem:
    """A growth model and one slice, its days and areas relative to the first visit.

    days (V,) from the first visit; areas (V,) over the first area `scale_mm2` (the largest where
    the first is zero); `held` parameters are not fitted: no visit informs them, or the user has
    `fixed` them; `tied` ones follow an expression in others.
    """

    name: str
    law: GrowthModel
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
        cls, timeline: SizeSeries, law: GrowthModel, *, alpha_beta_gy: float | None = None,
        hold: bool = True, fixed: Mapping[str, float] | None = None,
        tied: Mapping[str, str] | None = None,
    ) -> FitProblem:
        """Scale and shift a timeline.

        Args:
            timeline: the visits that are used.
            law: the growth model.
            alpha_beta_gy: of the linear-quadratic model, where the growth model depends on doses.
            hold: hold parameters of radiotherapy where no visit follows its start. False with a
                population prior, which covers them.
            fixed, tied: as in GrowthSpec, checked before.

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


def _refuse_degenerate(timeline: SizeSeries, law: GrowthModel) -> None:
    days, areas, name = timeline.days, timeline.sizes, timeline.name
    remedy = "Drop the slice, or use growth.law=carry_forward or growth.fallback=carry_forward."
    if days.size < law.min_visits:
        raise DegenerateSeriesError(
            f"timeline {name}: {days.size} visit(s); growth model {law.name} needs at least "
            f"{law.min_visits}. {remedy}"
        )
    if law.min_visits > 1 and days[-1] == days[0]:
        raise DegenerateSeriesError(
            f"timeline {name}: all {days.size} visits are on day {days[0]:g}; a growth rate needs "
            f"two different days. Correct the dates. {remedy}"
        )
    if law.needs_tumour and areas[0] <= 0:
        raise DegenerateSeriesError(
            f"timeline {name}: area 0 at the first visit (day {days[0]:g}); growth model "
            f"{law.name} is a multiple of the first area. Start the series at the first visit with "
            f"a tumour. {remedy}"
        )


@dataclass(frozen=True)
class Objective:
    """Residuals that are minimised, for the S series of a batch.

    centre (P,) and pull (P, P): pull @ (x - centre) are additional residuals: a weak ridge penalty,
        or a population prior whose precision matrix is pull' pull.
    log: residuals are differences of log(area + floor), else of areas, in first areas.
    floor (S,): in first areas; keeps the logarithm of an area of 0 finite.
    whiten: inverse Cholesky factor of the covariance of the residuals; None for the identity.
    near_first: bounds of the initial area are multiples of the first measurement, not of the scale.
    """

    centre: np.ndarray
    pull: np.ndarray
    log: bool = False
    floor: np.ndarray | None = None
    whiten: Whitening | None = None
    near_first: bool = True


@dataclass(frozen=True)
class Tasks:
    """N fits: indices of their series `rows` (N,), sizes `targets` (N, V) over the first area,
    prior means `centres` (N, P) and `starts` (N, K, P), both in coordinates."""

    rows: np.ndarray
    targets: np.ndarray
    centres: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return self.rows.size


@dataclass(frozen=True)
class Batch:
    """S series of one growth model, padded to V visits: days, areas (S, V), seen (S, V) bool."""

    law: GrowthModel
    problems: tuple[FitProblem, ...]
    days: np.ndarray
    areas: np.ndarray
    seen: np.ndarray
    courses: Courses
    held: np.ndarray  # (S, P) bool
    held_at: np.ndarray  # (S, P)
    objective: Objective

    @classmethod
    def of(cls, problems: Sequence[FitProblem], objective: Objective) -> Batch:
        """Stack problems of one growth model."""
        law, most = problems[0].law, max(p.days.size for p in problems)

        def padded(values: list[np.ndarray]) -> np.ndarray:
            return np.array([np.pad(v, (0, most - v.size), mode="edge") for v in values])

        seen = np.array([np.arange(most) < p.days.size for p in problems])
        held = np.array([[name in p.held for name in law.names] for p in problems])
        at = np.array([[p.held.get(q.name, q.start) for q in law.parameters] for p in problems])
        return cls(
            law, tuple(problems), padded([p.days for p in problems]),
            padded([p.areas for p in problems]), seen,
            Courses.stack([p.courses for p in problems]), held, at, objective,
        )  # fmt: skip

    def one(self, i: int) -> Batch:
        """The batch of series i alone."""
        problem, objective, n = self.problems[i], self.objective, self.problems[i].days.size
        floor, whiten = objective.floor, objective.whiten
        return Batch.of([problem], replace(
            objective, floor=None if floor is None else floor[i : i + 1],
            whiten=None if whiten is None else whiten[i : i + 1, :n],
        ))  # fmt: skip

    @property
    def log(self) -> np.ndarray:
        """Which parameters are fitted as logarithms, (P,) bool."""
        return np.array([p.scale == "log" for p in self.law.parameters])

    def coordinates(self, values: np.ndarray) -> np.ndarray:
        """Values (..., P) on their fit scale."""
        return np.where(self.log, np.log(np.where(self.log, values, 1.0)), values)

    def values(self, coordinates: np.ndarray) -> np.ndarray:
        """The inverse of `coordinates`."""
        return np.where(self.log, np.exp(np.where(self.log, coordinates, 0.0)), coordinates)

    def limits(self, tasks: Tasks) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (N, P) in coordinates. Those of the initial area are multiples of the first
        measurement with `near_first`; those of a held parameter are equal."""
        low = np.array([p.low for p in self.law.parameters])
        high = np.array([p.high for p in self.law.parameters])
        first = np.array([p.name == "initial_area" for p in self.law.parameters])
        scale = tasks.targets[:, :1] if self.objective.near_first else 1.0
        low, high = np.where(first, low * scale, low), np.where(first, high * scale, high)
        held, at = self.held[tasks.rows], self.held_at[tasks.rows]
        low, high = np.where(held, at, low), np.where(held, at, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.coordinates(low), self.coordinates(high)

    def predict(
        self, x: np.ndarray, rows: np.ndarray, days: np.ndarray | None = None
    ) -> np.ndarray:
        """Areas over the first area, (N, T), at coordinates x (N, P) of series `rows`; at the
        visits, or at `days` (N, T) since the first one."""
        values = self.values(x)
        columns = {name: values[:, i, None] for i, name in enumerate(self.law.names)}
        at = self.days[rows] if days is None else days
        return np.asarray(self.law.evaluate(at, columns, self.courses.take(rows)))

    def model(
        self, tasks: Tasks, x: np.ndarray, which: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (n, V + P) and their Jacobian (n, V + P, P) of tasks `which` at x (n, P)."""
        rows = tasks.rows[which]
        values = self.values(x)
        columns = {
            name: Dual.parameter(name, values[:, i, None]) for i, name in enumerate(self.law.names)
        }
        area = self.law.evaluate(self.days[rows], columns, self.courses.take(rows))
        shape = (rows.size, self.days.shape[1])
        jac = np.zeros((*shape, x.shape[1]))
        for i, name in enumerate(self.law.names):
            slope = area.slopes.get(name)
            if slope is not None:
                jac[..., i] = slope * values[:, i, None] if self.log[i] else slope
        objective = self.objective
        if objective.log:
            floor = 0.0 if objective.floor is None else objective.floor[rows, None]
            jac /= (area.value + floor)[..., None]
        jac *= self.seen[rows][..., None]
        if objective.whiten is not None:
            jac = objective.whiten.apply(jac, rows)
        spread = np.broadcast_to(objective.pull, (rows.size, *objective.pull.shape))
        residual = self._residuals(tasks, x, which, np.broadcast_to(area.value, shape))
        return residual, np.concatenate([jac, spread], axis=1)

    def _residuals(
        self, tasks: Tasks, x: np.ndarray, which: np.ndarray, fitted: np.ndarray
    ) -> np.ndarray:
        rows, objective, target = tasks.rows[which], self.objective, tasks.targets[which]
        if objective.log:
            floor = 0.0 if objective.floor is None else objective.floor[rows, None]
            with np.errstate(divide="ignore", invalid="ignore"):
                fitted, target = np.log(fitted + floor), np.log(np.maximum(target, 0) + floor)
        residual = np.where(self.seen[rows], fitted - target, 0.0)
        if objective.whiten is not None:
            residual = objective.whiten.apply(residual[..., None], rows)[..., 0]
        prior = (x - tasks.centres[which]) @ objective.pull.T
        return np.concatenate([residual, prior], axis=1)

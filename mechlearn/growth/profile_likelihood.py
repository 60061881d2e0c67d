"""The likelihood of one slice under a growth model: best fits, and fits with one parameter held.

Residuals are in standard deviations of the spec's noise and there is no ridge penalty, so the sum
of squares is -2 log likelihood up to a constant.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.fit import LOG_FLOOR
from mechlearn.growth.fit_problems import Batch, FitProblem, Objective, Tasks
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.measurement_noise import Whitening
from mechlearn.growth.solvers import Fits, solve_batched
from mechlearn.records import SizeSeries

__all__ = ["SliceLikelihood"]

_LEAST_AREA = 0.1  # first areas: smaller areas have the noise of this one
_TOLERANCE, _STEPS = 1e-4, 60  # of the sum of squares; steps of one pass: enough for an interval
_PASSES = 5  # over a grid, each from the fits at neighbouring points
# In -2 log likelihood: stop when no point within _FAR of the best fit gains _GAIN.
_GAIN, _FAR = 0.01, 50.0


@dataclass(frozen=True)
class SliceLikelihood:
    """One slice under a growth model: x (K, P) its best fits, the best first; cost of the best.

    `left`: degrees of freedom where the noise was estimated from the residuals; None where the
    noise is given.
    """

    problem: FitProblem
    batch: Batch
    x: np.ndarray
    cost: float
    left: int | None = None

    @classmethod
    def of(cls, timeline: SizeSeries, law: GrowthModel, spec: GrowthSpec) -> SliceLikelihood:
        """Fit a slice from `spec.n_starts` starts.

        Raises:
            DegenerateSeriesError: as `fit`.
            ValueError: a growth model that needs no fit; ties; no noise given, and no degree of
                freedom to estimate it.
            RuntimeError: no start has finite residuals.
        """
        if law.estimate is not None or spec.tied:
            raise ValueError(
                f"growth.law={law.name!r}, growth.tied={dict(spec.tied)!r}: profiles need a growth "
                "model that is fitted, without ties. Use another growth.law, or growth.fixed."
            )
        problem = FitProblem.of(timeline, law, alpha_beta_gy=spec.dose_model, hold=False,
                                fixed=spec.fixed)  # fmt: skip
        batch = _batch(problem, spec, spec.noise or 1.0)
        found = _search(batch, spec)
        if not spec.noise:
            noise = _residual_noise(problem, float(found.cost[0]))
            batch = _batch(problem, spec, noise)
            found = dataclasses.replace(found, cost=found.cost / noise**2)
        left = None if spec.noise else problem.days.size - len(problem.free)
        return cls(problem, batch, found.x[:2], float(found.cost[0]), left)

    @property
    def free(self) -> tuple[str, ...]:
        return self.problem.free

    def slopes(self) -> np.ndarray:
        """Jacobian (V, F) at the best fit, residuals over the noise, parameters over widths."""
        x = self.x[:1]
        tasks = Tasks(np.zeros(1, int), self.batch.areas, x, x[:, None])
        jac = self.batch.model(tasks, x, np.zeros(1, int))[1][0, : self.problem.days.size]
        scaled = jac * np.array([p.width for p in self.problem.law.parameters])
        return scaled[:, ~self.batch.held[0]]

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (P,), (P,) in coordinates."""
        tasks = Tasks(np.zeros(1, int), self.batch.areas, self.x[:1], self.x[None, :1])
        low, high = self.batch.limits(tasks)
        return low[0], high[0]

    def natural(self, k: int, x: np.ndarray | float) -> np.ndarray:
        """Natural values of coordinates of parameter k; the first area in the unit of the sizes."""
        p = self.problem.law.parameters[k]
        unit = self.problem.scale_mm2 if p.name == "initial_area" else 1.0
        return unit * np.asarray(np.exp(x) if p.scale == "log" else x)

    def refit(self, owner: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fits x (N, P) and cost (N,) with parameter `owner` (N,) held at coordinates `at` (N,).

        The first pass starts from the best fits and the growth model's start. Later passes start
        from the fits at neighbouring points of the same parameter and from the best of all fits.
        """
        n, rows = owner.size, np.arange(owner.size)
        many, put = self._held(owner, at)
        starts = np.concatenate([self.x, many.objective.centre[None]])
        beside = [np.clip(rows + step, 0, n - 1) for step in (-1, 1)]
        beside = [np.where(owner[i] == owner, i, rows) for i in beside]
        x, cost = put, np.full(n, np.inf)
        around = np.broadcast_to(starts, (n, *starts.shape))
        for _ in range(_PASSES):
            tasks = Tasks(rows, many.areas, put, around)
            found = solve_batched(many, tasks, _TOLERANCE, max_iterations=_STEPS)
            better = found.cost < cost
            near = better & (found.cost < min(found.cost.min(), cost.min()) + _FAR)
            gained = (cost - found.cost)[near].max(initial=0.0)
            x, cost = np.where(better[:, None], found.x, x), np.where(better, found.cost, cost)
            if gained < _GAIN:
                break
            best = np.broadcast_to(x[np.argmin(cost)], x.shape)
            around = np.stack([*(x[i] for i in beside), best], axis=1)
        return x, cost

    def _held(self, owner: np.ndarray, at: np.ndarray) -> tuple[Batch, np.ndarray]:
        """A batch with one copy of this series for every held value, and start points (N, P)."""
        batch, objective = self.batch, self.batch.objective
        rows, one = np.arange(owner.size), np.zeros(owner.size, int)
        held, held_at, put = batch.held[one].copy(), batch.held_at[one].copy(), self.x[one]
        held[rows, owner], put[rows, owner] = True, at
        held_at[rows, owner] = batch.values(put)[rows, owner]
        assert objective.whiten is not None
        floor = None if objective.floor is None else objective.floor[one]
        return dataclasses.replace(
            batch, problems=batch.problems * owner.size, days=batch.days[one],
            areas=batch.areas[one], seen=batch.seen[one], courses=batch.courses.take(one),
            held=held, held_at=held_at,
            objective=dataclasses.replace(objective, floor=floor, whiten=objective.whiten[one]),
        ), put  # fmt: skip


def _search(batch: Batch, spec: GrowthSpec) -> Fits:
    """Fits from the growth model's start and random points around it, the best first."""
    (problem,) = batch.problems
    widths = np.array([p.width for p in problem.law.parameters])
    around = np.random.default_rng(spec.seed).normal(size=(spec.n_starts, widths.size)) * widths
    around[0] = 0.0
    starts = batch.objective.centre + around
    n, one = len(starts), np.zeros(len(starts), int)
    tasks = Tasks(one, batch.areas[one], starts, starts[:, None])
    found = solve_batched(batch, tasks, _TOLERANCE**2, max_iterations=_PASSES * _STEPS)
    if not np.isfinite(found.cost).any():
        raise RuntimeError(
            f"timeline {problem.name}: growth model {problem.law.name} is not finite at any of {n} "
            "start(s). Raise growth.n_starts or use a simpler growth.law."
        )
    best = np.argsort(found.cost, kind="stable")
    return Fits(found.x[best], found.cost[best], found.converged[best])


def _batch(problem: FitProblem, spec: GrowthSpec, noise: float) -> Batch:
    law, areas, log = problem.law, problem.areas, spec.residuals == "log"
    size = np.maximum(areas, _LEAST_AREA)
    spread = noise * (size if spec.noise_model == "multiplicative" else np.ones_like(size))
    if log:
        spread = spread / (size + LOG_FLOOR)
    none = np.zeros((0, len(law.parameters)))
    plain = Batch.of([problem], Objective(np.zeros(none.shape[1]), none))
    starts = [problem.held.get(p.name, p.start) for p in law.parameters]
    centre = plain.coordinates(np.array(starts))
    floor = np.array([LOG_FLOOR]) if log else None
    objective = Objective(centre, none, log, floor, Whitening.diagonal(spread[None]))
    return dataclasses.replace(plain, objective=objective)


def _residual_noise(problem: FitProblem, cost: float) -> float:
    """Noise estimated from the residuals of the best fit; `cost` is its cost with noise 1."""
    left = problem.days.size - len(problem.free)
    if left < 1:
        raise ValueError(
            f"timeline {problem.name}: growth.noise=0 and {problem.days.size} visit(s) for "
            f"{len(problem.free)} parameters: no residual to estimate the noise. Give growth.noise."
        )
    return max(float(np.sqrt(cost / left)), 1e-9)

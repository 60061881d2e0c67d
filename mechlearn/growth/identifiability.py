"""Profile likelihood: which parameters of a growth model the visits of one slice identify.

A parameter takes the values of a grid over its bounds, and all others are fitted again at every
point. A value is excluded where the likelihood ratio exceeds the threshold (Raue et al. 2009). A
flat profile means structural non-identifiability: no visit informs the parameter. A profile that
stays below the threshold on one side means practical non-identifiability: these visits are not
enough.

The likelihood is that of the spec's noise, without the ridge penalty. All grid points of all
parameters are fitted as one batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, f

from mechlearn.checks import in_range, one_of
from mechlearn.growth.growth_model import GrowthModel, Parameter
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.profile_likelihood import SliceLikelihood
from mechlearn.records import SizeSeries

__all__ = ["Identifiability", "Profile", "identifiability", "profile"]

_NEAR = 3.5  # half width of the fine part of a grid, in standard errors
_FLAT = 1e-3  # of the threshold: a profile that rises less is flat
_SHARE = 0.5  # of a direction's largest component: parameters above it are named
_RANK = 1e-6  # of the largest singular value


@dataclass(frozen=True)
class Profile:
    """Profile of one parameter: log likelihood ratio of fits with the parameter held.

    Attributes:
        parameter: the parameter of the growth model.
        values (G,): natural units, ascending; the first area in the unit of the sizes.
        rise (G,): 2 log(likelihood ratio) against the best fit, 0 at it.
        best: value of the best fit.
        interval: where `rise` crosses the threshold; None where it does not before the bound.
        threshold: chi-square quantile of one degree of freedom.
    """

    parameter: Parameter
    values: np.ndarray
    rise: np.ndarray
    best: float
    interval: tuple[float | None, float | None]
    threshold: float

    @property
    def verdict(self) -> str:
        """identified, open above, open below, or flat (open to both sides)."""
        low, high = self.interval
        if low is None and high is None:
            return "flat"
        return "open above" if high is None else "open below" if low is None else "identified"

    @property
    def structural(self) -> bool:
        """The likelihood does not depend on the parameter at all."""
        return bool(np.max(self.rise) < _FLAT * self.threshold)


@dataclass(frozen=True)
class Identifiability:
    """Identifiability of a growth model from the visits of one slice.

    Attributes:
        name, law: names of the slice and of the growth model.
        n_visits: number of visits used.
        names: free parameters, (F,).
        singular_values (F,): of the Jacobian of the residuals over the noise, in the parameters'
            typical widths: a value of 2 means a standard error of half a width.
        directions (F, F): the singular vectors in parameter space, one a row.
        rank: number of singular values above zero.
        profiles: by parameter.
    """

    name: str
    law: str
    n_visits: int
    names: tuple[str, ...]
    singular_values: np.ndarray
    directions: np.ndarray
    rank: int
    profiles: Mapping[str, Profile]

    @property
    def identified(self) -> bool:
        """All parameters are identified; the initial area is not counted (narrow bounds)."""
        return all(
            p.verdict == "identified" for n, p in self.profiles.items() if n != "initial_area"
        )

    @property
    def stiff(self) -> tuple[str, ...]:
        """Directions with a standard error below a typical width, the best first, in words."""
        return self._words(self.singular_values >= 1, " with ".join)

    @property
    def sloppy(self) -> tuple[str, ...]:
        """Directions that the visits do not determine, the least determined last, in words."""
        return self._words(self.singular_values < 1, _trade_off)

    def _words(self, which: np.ndarray, say: Callable[[list[str]], str]) -> tuple[str, ...]:
        found = (_members(v, self.names) for v in self.directions[which])
        # The initial area alone is left out: its bounds keep it near the measurement.
        return tuple(dict.fromkeys(say(m) for m in found if m != ["initial_area"]))

    def text(self) -> str:
        """A short report."""
        lines = [
            f"timeline {self.name}: growth model {self.law}, {self.n_visits} visit(s) for "
            f"{len(self.names)} parameter(s), rank {self.rank}"
        ]
        wide = max(len(name) for name in self.profiles)
        for name, found in self.profiles.items():
            lines.append(f"  {name:<{wide}}  {_line(found)}")
        for title, words in (("known", self.stiff), ("open", self.sloppy)):
            if words:
                lines.append(f"  {title}: " + "; ".join(words))
        if not self.identified:
            lines.append(
                "  remedy: use a simpler growth.law, fix the open parameters (growth.fixed), or "
                "use a population prior (growth.population). Forecasts that depend on them are "
                "wide."
            )
        return "\n".join(lines)


def profile(
    timeline: SizeSeries, law: GrowthModel | str, parameter: str, *, spec: GrowthSpec | None = None,
    points: int = 25, level: float = 0.95,
) -> Profile:
    """The profile likelihood of one parameter of a growth model.

    Args:
        timeline: the visits.
        law: the growth model or its name.
        parameter: one of its parameters.
        spec: noise (0: estimated from the residuals), bounds, fixed parameters; GrowthSpec() if
            None.
        points: number of points of the grid over the bounds; the same number near the best fit.
        level: of the interval.

    Raises:
        DegenerateSeriesError: as `fit`.
        ValueError: an unknown or fixed parameter; ties; a growth model that needs no fit.
        RuntimeError: no start converged.
    """
    case = _likelihood(timeline, law, spec)
    one_of("parameter", parameter, case.free, remedy=f"Those of {case.problem.law.name} are free.")
    return _profiles(case, [parameter], points, level)[parameter]


def identifiability(
    timeline: SizeSeries, law: GrowthModel | str, spec: GrowthSpec | None = None, *,
    points: int = 25, level: float = 0.95,
) -> Identifiability:
    """Profiles of all free parameters, and the directions that the visits determine.

    Arguments and errors as of `profile`.
    """
    case = _likelihood(timeline, law, spec)
    found = _profiles(case, case.free, points, level)
    _, sizes, directions = np.linalg.svd(case.slopes(), full_matrices=True)
    sizes = np.pad(sizes, (0, len(case.free) - sizes.size))
    rank = int((sizes > _RANK * max(float(sizes.max()), 1e-300)).sum())
    problem = case.problem
    return Identifiability(
        problem.name, problem.law.name, problem.days.size, case.free, sizes, directions, rank,
        found,
    )  # fmt: skip


def _likelihood(
    timeline: SizeSeries, law: GrowthModel | str, spec: GrowthSpec | None
) -> SliceLikelihood:
    spec = spec or GrowthSpec()
    if isinstance(law, str):
        law = dataclasses.replace(spec, law=law, population=None).resolve()
    return SliceLikelihood.of(timeline, law, spec)


def _profiles(
    case: SliceLikelihood, names: Sequence[str], points: int, level: float
) -> dict[str, Profile]:
    in_range("points", points, 3, 10_000)
    in_range("level", level, 0.0, 1.0)
    law = case.problem.law
    columns = [law.names.index(n) for n in names]
    grids = [_grid(case, k, points) for k in columns]
    owner, at = np.repeat(columns, [g.size for g in grids]), np.concatenate(grids)
    x, cost = case.refit(owner, at)
    best = case.x[0] if case.cost <= cost.min() else x[np.argmin(cost)]
    rises = np.maximum(cost - min(case.cost, float(cost.min())), 0.0)
    left = case.left  # degrees of freedom, where the noise was estimated
    threshold = float(chi2.ppf(level, 1) if left is None else f.ppf(level, 1, left))
    return {
        name: _profile(case, k, (at[owner == k], rises[owner == k]), float(best[k]), threshold)
        for name, k in zip(names, columns, strict=True)
    }


def _profile(
    case: SliceLikelihood, k: int, curve: tuple[np.ndarray, np.ndarray], best: float,
    threshold: float,
) -> Profile:
    grid, first = np.unique(np.append(curve[0], best), return_index=True)
    rise = np.append(curve[1], 0.0)[first]
    at = int(np.searchsorted(grid, best))
    rise[at] = 0.0
    low, high = (_crossing(grid, rise, at, step, threshold) for step in (-1, 1))
    ends = tuple(None if end is None else float(case.natural(k, end)) for end in (low, high))
    parameter = case.problem.law.parameters[k]
    return Profile(parameter, case.natural(k, grid), rise, float(case.natural(k, best)),
                   (ends[0], ends[1]), threshold)  # fmt: skip


def _grid(case: SliceLikelihood, k: int, points: int) -> np.ndarray:
    """Coordinates of one parameter: over its bounds, and finer around the best fit."""
    low, high = (ends[k] for ends in case.limits())
    slopes, free = case.slopes(), list(case.free)
    precision = slopes.T @ slopes + 1e-2 * np.eye(len(free))  # at most ten widths
    i = free.index(case.problem.law.names[k])
    error = np.sqrt(np.linalg.inv(precision)[i, i]) * case.problem.law.parameters[k].width
    near = case.x[0, k] + _NEAR * error * np.linspace(-1, 1, points)
    return np.unique(np.concatenate([np.linspace(low, high, points), np.clip(near, low, high)]))


def _crossing(
    grid: np.ndarray, rise: np.ndarray, at: int, step: int, threshold: float
) -> float | None:
    """Where the profile first crosses the threshold, seen from `at`; None if it does not."""
    root = np.sqrt(rise)  # piecewise linear for a normal likelihood
    level, i = float(np.sqrt(threshold)), at
    while 0 <= i + step < grid.size:
        a, b = i, i + step
        if root[b] >= level:
            share = (level - root[a]) / max(root[b] - root[a], 1e-300)
            return float(grid[a] + np.clip(share, 0, 1) * (grid[b] - grid[a]))
        i = b
    return None


def _members(direction: np.ndarray, names: Sequence[str]) -> list[str]:
    """Parameters with a large component in a direction, the largest first."""
    size = np.abs(direction)
    order = np.argsort(-size, kind="stable")
    return [names[i] for i in order if size[i] >= _SHARE * size.max()]


def _trade_off(members: Sequence[str]) -> str:
    if len(members) == 1:
        return f"{members[0]} hardly changes the curve"
    return f"{', '.join(members[:-1])} and {members[-1]} trade off"


def _line(found: Profile) -> str:
    p, (low, high) = found.parameter, found.interval
    unit = "mm^2" if p.name == "initial_area" else p.unit if p.unit != "1" else ""
    ends = [f"{found.values[i]:.3g} (bound)" if end is None else f"{end:.3g}"
            for i, end in ((0, low), (-1, high))]  # fmt: skip
    kind = found.verdict
    if kind == "flat":
        kind += ", at any noise" if found.structural else ", for these visits"
    if p.name == "initial_area" and kind != "identified":
        kind = "kept near the first measurement by its bounds"
    return f"{found.best:.4g} {unit}".rstrip() + f", {ends[0]} to {ends[1]}: {kind}"

"""Growth laws: A(t) in closed form, one small declaration each.

Section 2.2 of the paper: exponential growth A0 exp(lambda t) before radiotherapy; at its start a
surviving part S A and a dying part (1 - S) A; afterwards the surviving part keeps growing and the
dying part decays after a delay. With tau = t - t_RT the laws differ in the dying part:

    ode         dA_d/dt = -lambda_decay tanh(s (tau - delta)) A_d, solved exactly:
                A_d = A_d(0) [cosh(s (tau - delta)) / cosh(s delta)]^(-lambda_decay / s)
    eq6         A_d = A_d(0) exp(-lambda_decay tanh(s (tau - delta)) tau)   (sign mended, see below)
    algorithm1  A_d = A_d(0) exp(-lambda tanh((tau - delta) / slope) tau)

Neither closed form of the paper solves its ODE (the product rule adds a tau d/dtau tanh term), and
eq. (6) as printed makes the dying cells grow; the minus here is ours. With lambda = lambda_decay =
0.03, s = 0.2, delta = 20 the dying part on day 67 is 0.445 under `ode` and 0.134 under
`algorithm1` with a slope of 0.2. Everything is evaluated as a logarithm, so that no cosh overflows.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from mechlearn.checks import one_of
from mechlearn.records import Radiotherapy

__all__ = ["LAWS", "Law", "Parameter", "Params", "get_law", "log_cosh"]

Params = Mapping[str, "float | np.ndarray"]
Relative = Callable[[np.ndarray, Mapping[str, np.ndarray], "float | None"], np.ndarray]

# No area above 1e100 times the first one: keeps trial steps of a fit finite in float64, squared.
_LOG_CEILING = 100 * math.log(10)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a law: where it may lie, where a fit starts, on which scale it is fitted.

    `scale="log"` fits the logarithm (rates and times over decades). `width` is how far from the
    start a value typically lies on that scale: of extra starts, and of the ridge. `after_rt` marks
    what only visits after the start of radiotherapy can tell about.
    """

    name: str
    unit: str
    low: float
    high: float
    start: float
    scale: Literal["linear", "log"] = "linear"
    width: float = 1.0
    after_rt: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"bounds of {self.name}=[{self.low:g}, {self.high:g}]: must be finite, low below "
                "high. Mend growth.bounds."
            )
        if self.scale == "log" and self.low <= 0:
            raise ValueError(
                f"bounds of {self.name}=[{self.low:g}, {self.high:g}]: low must be positive, the "
                "parameter is fitted on a log scale. Use a small positive number in growth.bounds."
            )
        if not self.low < self.start < self.high:
            raise ValueError(
                f"start of {self.name}={self.start:g}: must lie inside the bounds "
                f"({self.low:g}, {self.high:g})."
            )

    def bounded(self, low: float, high: float) -> Parameter:
        """The same parameter with other bounds; a start outside them moves to their middle."""
        inside = low < self.start < high
        if inside or not low < high:
            return dataclasses.replace(self, low=low, high=high)
        log = self.scale == "log" and low > 0
        middle = math.sqrt(low * high) if log else (low + high) / 2
        return dataclasses.replace(self, low=low, high=high, start=middle)


@dataclass(frozen=True)
class Law:
    """A(t) of one slice: `area = initial_area * relative(days, parameters, RT start)`.

    Attributes:
        name: key in `LAWS`.
        parameters: what is fitted beside nothing else; `initial_area` comes first. Its bounds are
            multiples of the first measurement (0.9 to 1.1: "within 10%").
        relative: (days (T,), parameters broadcastable to (..., T), RT start day) -> A / A0.
        estimate: closed-form estimate (areas (..., V) -> parameters) where no search is needed.
        needs_tumour: the law cannot start from an area of zero.
        min_visits: visits below which it cannot be fitted whatever the spec says.
    """

    name: str
    parameters: tuple[Parameter, ...]
    relative: Relative
    estimate: Callable[[np.ndarray], dict[str, np.ndarray]] | None = None
    needs_tumour: bool = True
    min_visits: int = 2

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters)

    def area(self, days: np.ndarray, params: Params, rt: Radiotherapy | None = None) -> np.ndarray:
        """Tumour area at `days`, in the unit of `initial_area` (mm^2 once fitted).

        Args:
            days: (T,), counted from the first visit; `initial_area` is the area on day 0.
            params: value of every parameter, scalars or arrays (N,).
            rt: radiotherapy on the same clock; None for growth without treatment. A start before
                day 0 is allowed: the law is then scaled so that A(0) is still `initial_area`.

        Returns:
            (T,), or (N, T) where parameters are arrays.
        """
        columns = {name: np.asarray(params[name], float)[..., None] for name in self.names}
        start = None if rt is None else float(rt.start_day)
        days = np.asarray(days, float)
        with np.errstate(over="ignore", divide="ignore"):
            return np.asarray(columns["initial_area"] * self.relative(days, columns, start))

    def with_bounds(self, bounds: Mapping[str, tuple[float, float] | list[float]]) -> Law:
        """The same law with some bounds replaced; ValueError for a name it does not have."""
        for name in bounds:
            one_of("growth.bounds", name, self.names, remedy=f"Those are the names of {self.name}.")
        return dataclasses.replace(
            self,
            parameters=tuple(
                p.bounded(float(bounds[p.name][0]), float(bounds[p.name][1]))
                if p.name in bounds
                else p
                for p in self.parameters
            ),
        )


def log_cosh(x: np.ndarray) -> np.ndarray:
    """log(cosh(x)) without overflow: |x| + log(1 + exp(-2 |x|)) - log 2."""
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - math.log(2)


def _exp(log_ratio: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(log_ratio, _LOG_CEILING))


def _with_rt(log_dying: Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]) -> Relative:
    """Eqs. (3) to (5) around one choice of the dying part, log(A_d / A_d(0)) at tau >= 0."""

    def log_ratio(days: np.ndarray, p: Mapping[str, np.ndarray], start: float) -> np.ndarray:
        tau = np.maximum(days - start, 0.0)
        survival = p["survival_fraction"]
        living = np.log(survival) + p["growth_rate"] * tau
        dying = np.log1p(-survival) + log_dying(tau, p)
        return p["growth_rate"] * np.minimum(days, start) + np.logaddexp(living, dying)

    def relative(days: np.ndarray, p: Mapping[str, np.ndarray], start: float | None) -> np.ndarray:
        if start is None:
            return _exp(p["growth_rate"] * days)
        if start >= 0:  # at tau = 0 the two parts add up to one: no case split is needed
            return _exp(log_ratio(days, p, start))
        return _exp(log_ratio(days, p, start) - log_ratio(np.zeros(1), p, start))

    return relative


def _dying_ode(tau: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:
    slope, delay = p["slope"], p["delay"]
    return -p["decay_rate"] / slope * (log_cosh(slope * (tau - delay)) - log_cosh(slope * delay))


def _dying_eq6(tau: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:
    return -p["decay_rate"] * np.tanh(p["slope"] * (tau - p["delay"])) * tau


def _dying_algorithm1(tau: np.ndarray, p: Mapping[str, np.ndarray]) -> np.ndarray:
    return -p["growth_rate"] * np.tanh((tau - p["delay"]) / p["slope"]) * tau


def _logistic(days: np.ndarray, p: Mapping[str, np.ndarray], start: float | None) -> np.ndarray:
    grown = _exp(p["growth_rate"] * days)
    return grown / (1 + (grown - 1) / p["capacity"])


def _gompertz(days: np.ndarray, p: Mapping[str, np.ndarray], start: float | None) -> np.ndarray:
    return _exp(-p["growth_rate"] * np.expm1(-p["slowing_rate"] * days) / p["slowing_rate"])


_A0 = Parameter("initial_area", "first area", 0.9, 1.1, 1.0, width=0.1)
_RATE = Parameter("growth_rate", "1/day", 0.001, 2.0, 0.01, "log")
_SURVIVAL = Parameter("survival_fraction", "1", 0.001, 0.2, 0.1, "log", after_rt=True)
_DECAY = Parameter("decay_rate", "1/day", 0.001, 100.0, 0.03, "log", after_rt=True)
_DELAY = Parameter("delay", "day", 0.001, 300.0, 30.0, "log", after_rt=True)
_SLOPE = Parameter("slope", "1/day", 0.001, 600.0, 0.1, "log", after_rt=True)
# The laws without treatment may shrink too: they are baselines for any series.
_NET_RATE = Parameter("growth_rate", "1/day", -1.0, 2.0, 0.005, width=0.02)

LAWS: Mapping[str, Law] = MappingProxyType({
    law.name: law
    for law in (
        Law("ode", (_A0, _RATE, _SURVIVAL, _DECAY, _DELAY, _SLOPE), _with_rt(_dying_ode)),
        Law("eq6", (_A0, _RATE, _SURVIVAL, _DECAY, _DELAY, _SLOPE), _with_rt(_dying_eq6)),
        Law(
            "algorithm1",
            (_A0, _RATE, _SURVIVAL, _DELAY, dataclasses.replace(_SLOPE, unit="day", start=5.0)),
            _with_rt(_dying_algorithm1),
        ),
        Law("exponential", (_A0, _NET_RATE), lambda days, p, start: _exp(p["growth_rate"] * days)),
        Law(
            "linear",  # growth_rate in first areas a day; the area stops at zero
            (_A0, _NET_RATE),
            lambda days, p, start: np.maximum(1 + p["growth_rate"] * days, 0.0),
        ),
        Law(
            "logistic",  # saturates at capacity * initial_area
            (_A0, _NET_RATE, Parameter("capacity", "initial area", 1.001, 1000.0, 5.0, "log")),
            _logistic,
        ),
        Law(
            "gompertz",  # d log A / dt = growth_rate exp(-slowing_rate t)
            (_A0, _NET_RATE, Parameter("slowing_rate", "1/day", 1e-5, 1.0, 0.005, "log")),
            _gompertz,
        ),
        Law(
            "carry_forward",  # the last measurement stays: the baseline to beat
            (Parameter("initial_area", "first area", 0.0, 1e6, 1.0),),
            lambda days, p, start: np.ones_like(days),
            estimate=lambda areas: {"initial_area": areas[..., -1]},
            needs_tumour=False,
            min_visits=1,
        ),
    )
})


def get_law(law: Law | str) -> Law:
    """A law by name, or itself; ValueError for an unknown name."""
    return law if isinstance(law, Law) else LAWS[one_of("growth.law", law, tuple(LAWS))]

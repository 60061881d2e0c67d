"""The built-in growth models: A(t) in closed form.

Section 2.2 of the paper: exponential growth A0 exp(lambda t) before radiotherapy; at its start a
surviving part S A and a dying part (1 - S) A; afterwards the surviving part keeps growing and the
dying part decays after a delay. With tau = t - t_RT the models differ in the dying part:

    ode         dA_d/dt = -lambda_decay tanh(s (tau - delta)) A_d, solved exactly:
                A_d = A_d(0) [cosh(s (tau - delta)) / cosh(s delta)]^(-lambda_decay / s)
    eq6         A_d = A_d(0) exp(-lambda_decay tanh(s (tau - delta)) tau)   (sign corrected)
    algorithm1  A_d = A_d(0) exp(-lambda tanh((tau - delta) / slope) tau)

Neither closed form of the paper solves its ODE (the product rule adds a tau d/dtau tanh term), and
with eq. (6) as printed the dying part grows; the minus sign is added here. With lambda =
lambda_decay = 0.03, s = 0.2, delta = 20 the dying part on day 67 is 0.445 under `ode` and 0.134
under `algorithm1` with a slope of 0.2. All terms are evaluated as logarithms, so no cosh overflows.

`linear_rt`, `logistic_rt` and `gompertz_rt` combine the dying part of `ode` with another untreated
curve; `ode` is exponential growth with radiotherapy. A later course splits the surviving part
again.

A growth model of your own is a formula in NumPy ufuncs (`derivatives` lists them) and parameters:

    rate = Parameter("growth_rate", "1/day", 1e-4, 1.0, 0.01, "log")
    power = GrowthModel("power", (INITIAL_AREA, rate),
                        lambda days, p, courses: (1 + p["growth_rate"] * days) ** 2)

Name it with growth.law=my_package.my_module.power, or pass it to a function.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from mechlearn.checks import imported, one_of
from mechlearn.growth.derivatives import log_cosh
from mechlearn.growth.growth_model import GrowthModel, Parameter, Relative, Values
from mechlearn.growth.treatment import Courses

__all__ = ["INITIAL_AREA", "GROWTH_MODELS", "get_growth_model", "growth_model_of_file"]

Curve = Callable[[np.ndarray, Values], Any]

# No area above 1e100 times the first one: its square is still finite in float64.
_LOG_CEILING = 100 * math.log(10)
_VANISHED = 1e-12  # of the first area: replaces zero where a logarithm is taken


def _exp(log_ratio: Any) -> Any:
    return np.exp(np.minimum(log_ratio, _LOG_CEILING))


def _log_survival(p: Values, effect_gy: np.ndarray) -> Any:
    if "radiosensitivity" in p:
        return -p["radiosensitivity"] * effect_gy
    return np.log(p["survival_fraction"])


def _treated(log_untreated: Curve, log_dying: Curve) -> Relative:
    """Eqs. (3) to (5), for any untreated curve log(A / A0) and dying part log(A_d / A_d(0)).

    At each course the living part is split; the dying part depends on the time since this course.
    Before the course starts its two parts add up to the untreated curve, so no case distinction is
    needed.
    """

    def log_ratio(days: np.ndarray, p: Values, courses: Courses) -> Any:
        total, spared = None, 0.0
        for start, effect in zip(courses.starts, courses.effects_gy, strict=True):
            survival = _log_survival(p, effect)
            hit = log_untreated(np.minimum(days, start), p) + spared
            dying = hit + np.log1p(-np.exp(survival)) + log_dying(np.maximum(days - start, 0.0), p)
            total = dying if total is None else np.logaddexp(total, dying)
            spared = spared + survival
        living = log_untreated(days, p) + spared
        return living if total is None else np.logaddexp(total, living)

    def relative(days: np.ndarray, p: Values, courses: Courses) -> Any:
        early = [np.minimum(start, 0.0) for start in courses.starts]
        if not any((start < 0).any() for start in early):
            return _exp(log_ratio(days, p, courses))
        # A course starts before the first visit: shift the clock to it, and scale to A(0) = A0.
        shift = -np.minimum.reduce(np.broadcast_arrays(*early))
        moved = Courses(tuple(start + shift for start in courses.starts), courses.effects_gy)
        return _exp(log_ratio(days + shift, p, moved) - log_ratio(shift, p, moved))

    return relative


def _untreated(log_curve: Curve) -> Relative:
    return lambda days, p, courses: _exp(log_curve(days, p))


def _log_exponential(days: np.ndarray, p: Values) -> Any:
    return p["growth_rate"] * days


def _log_linear(days: np.ndarray, p: Values) -> Any:
    return np.log(np.maximum(1 + p["growth_rate"] * days, _VANISHED))


def _log_logistic(days: np.ndarray, p: Values) -> Any:
    # log of K / (1 + (K - 1) exp(-rate t)), which cannot overflow
    others = np.log(p["capacity"] - 1) - p["growth_rate"] * days
    return np.log(p["capacity"]) - np.logaddexp(0.0, others)


def _log_gompertz(days: np.ndarray, p: Values) -> Any:
    return -p["growth_rate"] * np.expm1(-p["slowing_rate"] * days) / p["slowing_rate"]


def _dying_ode(tau: np.ndarray, p: Values) -> Any:
    slope, delay = p["slope"], p["delay"]
    return -p["decay_rate"] / slope * (log_cosh(slope * (tau - delay)) - log_cosh(slope * delay))


def _dying_eq6(tau: np.ndarray, p: Values) -> Any:
    return -p["decay_rate"] * np.tanh(p["slope"] * (tau - p["delay"])) * tau


def _dying_algorithm1(tau: np.ndarray, p: Values) -> Any:
    return -p["growth_rate"] * np.tanh((tau - p["delay"]) / p["slope"]) * tau


INITIAL_AREA = Parameter("initial_area", "first area", 0.9, 1.1, 1.0, width=0.1)
_RATE = Parameter("growth_rate", "1/day", 0.001, 2.0, 0.01, "log")
_SURVIVAL = Parameter("survival_fraction", "1", 0.001, 0.2, 0.1, "log", after_rt=True)
_DECAY = Parameter("decay_rate", "1/day", 0.001, 100.0, 0.03, "log", after_rt=True)
_DELAY = Parameter("delay", "day", 0.001, 300.0, 30.0, "log", after_rt=True)
_SLOPE = Parameter("slope", "1/day", 0.001, 600.0, 0.1, "log", after_rt=True)
_RT = (_SURVIVAL, _DECAY, _DELAY, _SLOPE)
# Untreated models may also shrink: they are baselines for all series.
_NET_RATE = Parameter("growth_rate", "1/day", -1.0, 2.0, 0.005, width=0.02)
_CAPACITY = Parameter("capacity", "initial area", 1.001, 1000.0, 5.0, "log")
_SLOWING = Parameter("slowing_rate", "1/day", 1e-5, 1.0, 0.005, "log")


def _declare(*laws: GrowthModel) -> Mapping[str, GrowthModel]:
    return MappingProxyType({law.name: law for law in laws})


GROWTH_MODELS: Mapping[str, GrowthModel] = _declare(
    GrowthModel("ode", (INITIAL_AREA, _RATE, *_RT), _treated(_log_exponential, _dying_ode)),
    GrowthModel("eq6", (INITIAL_AREA, _RATE, *_RT), _treated(_log_exponential, _dying_eq6)),
    GrowthModel(
        "algorithm1",
        (
            INITIAL_AREA, _RATE, _SURVIVAL, _DELAY,
            dataclasses.replace(_SLOPE, unit="day", start=5.0),
        ),  # fmt: skip
        _treated(_log_exponential, _dying_algorithm1),
    ),
    GrowthModel("exponential", (INITIAL_AREA, _NET_RATE), _untreated(_log_exponential)),
    GrowthModel(
        "linear",  # growth_rate in first areas a day; the area stops at zero
        (INITIAL_AREA, _NET_RATE),
        lambda days, p, courses: np.maximum(1 + p["growth_rate"] * days, 0.0),
    ),
    # saturates at capacity * initial_area
    GrowthModel("logistic", (INITIAL_AREA, _NET_RATE, _CAPACITY), _untreated(_log_logistic)),
    # d log A / dt = growth_rate exp(-slowing_rate t)
    GrowthModel("gompertz", (INITIAL_AREA, _NET_RATE, _SLOWING), _untreated(_log_gompertz)),
    GrowthModel("linear_rt", (INITIAL_AREA, _RATE, *_RT), _treated(_log_linear, _dying_ode)),
    GrowthModel(
        "logistic_rt", (INITIAL_AREA, _RATE, _CAPACITY, *_RT), _treated(_log_logistic, _dying_ode)
    ),
    GrowthModel(
        "gompertz_rt", (INITIAL_AREA, _RATE, _SLOWING, *_RT), _treated(_log_gompertz, _dying_ode)
    ),
    GrowthModel(
        "carry_forward",  # the last measurement stays: the baseline to beat
        (Parameter("initial_area", "first area", 0.0, 1e6, 1.0),),
        lambda days, p, courses: np.ones_like(days),
        estimate=lambda areas: {"initial_area": areas[..., -1]},
        needs_tumour=False,
        min_visits=1,
    ),
)


_NAMED: dict[str, GrowthModel] = {}  # users' models by dotted path, named in this process


def get_growth_model(law: GrowthModel | str, *, key: str = "growth.law") -> GrowthModel:
    """A growth model by its name, or by the dotted path of one of your own.

    Args:
        law: name, dotted path, or a growth model, which is returned unchanged.
        key: configuration key of the name, for the error.

    Raises:
        ValueError: neither a name in `GROWTH_MODELS` nor a path to a `GrowthModel`.
    """
    if isinstance(law, GrowthModel):
        return law
    if "." not in law:
        remedy = "Give a growth model of your own as package.module.name."
        return GROWTH_MODELS[one_of(key, law, tuple(GROWTH_MODELS), remedy=remedy)]
    found = imported(key, law, remedy="Give package.module.name of a growth.GrowthModel, in a "
                     "package on Python's path.")  # fmt: skip
    if not isinstance(found, GrowthModel):
        raise ValueError(
            f"{key}={law!r}: is a {type(found).__name__}; must be a mechlearn.growth.GrowthModel."
        )
    named = dataclasses.replace(found, path=law)
    _NAMED[law] = named
    return named


def growth_model_of_file(name: str) -> GrowthModel:
    """The growth model that a population file names: built in, or named by the user before.

    A population file must not choose code to import, so a dotted path is never imported here.

    Raises:
        ValueError: another name.
    """
    if name in GROWTH_MODELS:
        return GROWTH_MODELS[name]
    if name in _NAMED:
        return _NAMED[name]
    raise ValueError(
        f"growth model {name!r} is not built in; a file may name {', '.join(GROWTH_MODELS)}. If it "
        f"is a model of your own, also set growth.own_laws=[{name}]"
    )

"""Fixed parameters, and parameters that are tied to others by an expression.

lmfit evaluates the expressions. Its parameters are the fit coordinates (`log_growth_rate` for a
parameter that is fitted on a log scale) and the natural values, which expressions use.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mechlearn.checks import in_range, one_of
from mechlearn.growth.growth_model import GrowthModel

if TYPE_CHECKING:
    import lmfit

__all__ = [
    "check_constraints",
    "coordinate_names",
    "lmfit_coordinates",
    "lmfit_parameters",
    "tie_slopes",
]

_FUNCTIONS = ("abs", "exp", "log", "max", "min", "pi", "sqrt", "tanh")
_STEP = 1e-6  # of the differences behind the slopes of an expression


def check_constraints(
    law: GrowthModel, fixed: Mapping[str, float], tied: Mapping[str, str], engine: str
) -> None:
    """ValueError for a parameter that cannot be fixed or tied in this way."""
    known = {p.name: p for p in law.parameters}
    for key, names in (("growth.fixed", fixed), ("growth.tied", tied)):
        for name in names:
            one_of(key, name, law.names, remedy=f"Those are the names of {law.name}.")
            if name == "initial_area":
                raise ValueError(
                    f"{key}.initial_area={names[name]!r}: the first area is fitted, within 10% of "
                    "the first measurement. Narrow growth.bounds.initial_area to hold it closer."
                )
    for name, value in fixed.items():
        in_range(f"growth.fixed.{name}", value, known[name].low, known[name].high,
                 remedy=f"Widen growth.bounds.{name} for a value beyond.")  # fmt: skip
        if name in tied:
            raise ValueError(
                f"growth.fixed.{name}={value:g}: it is tied as well ({tied[name]!r}). Keep one of "
                "the two."
            )
    for name, expression in tied.items():
        _check_expression(name, expression, law, tied)
    if tied and engine != "lmfit":
        raise ValueError(
            f"growth.tied={dict(tied)!r} with growth.engine={engine!r}: only lmfit evaluates "
            "expressions. Use growth.engine=lmfit, or a growth model of your own that has one "
            "parameter less."
        )


def _check_expression(
    name: str, expression: str, law: GrowthModel, tied: Mapping[str, str]
) -> None:
    key = f"growth.tied.{name}={expression!r}"
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{key}: not an expression ({error.msg}). Mend it.") from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    free = [n for n in law.names if n not in tied]
    unknown = sorted(used - set(free) - set(_FUNCTIONS))
    if unknown:
        raise ValueError(
            f"{key}: {', '.join(unknown)} is not an untied parameter of {law.name}. "
            f"Use {', '.join(free)} and {', '.join(_FUNCTIONS)}."
        )


def coordinate_names(law: GrowthModel) -> tuple[str, ...]:
    """Names of the coordinates in lmfit: `log_growth_rate` on a log scale."""
    return tuple(f"log_{p.name}" if p.scale == "log" else p.name for p in law.parameters)


def lmfit_parameters(
    law: GrowthModel, start: np.ndarray, low: np.ndarray, high: np.ndarray, *,
    tied: Mapping[str, str] | None = None, natural: bool = False,
) -> lmfit.Parameters:
    """The parameters of a growth model as an lmfit `Parameters` object.

    Args:
        law: the growth model.
        start, low, high: coordinates (P,); a parameter with low = high does not vary.
        tied: expressions in natural values, `initial_area` in first areas. Their results are
            clipped to low and high.
        natural: add the natural values of parameters on a log scale, for a report.
    """
    import lmfit  # takes half a second: imported only where parameters are tied

    params, tied = lmfit.Parameters(), tied or {}
    log = [p.scale == "log" for p in law.parameters]
    rows = list(zip(law.names, coordinate_names(law), log, start, low, high, strict=True))
    for name, coordinate, _, value, least, most in rows:
        if name not in tied:
            room = {"min": least, "max": most} if least < most else {"vary": False}
            params.add(coordinate, value=value if least < most else least, **room)
    for name, coordinate, on_log, *_ in rows:
        if on_log and name not in tied and (tied or natural):
            params.add(name, expr=f"exp({coordinate})")
    for name, coordinate, on_log, _, least, most in rows:
        if name in tied:
            ends = np.exp([least, most]) if on_log else (least, most)
            params.add(name, expr=f"min(max({tied[name]}, {ends[0]:.10g}), {ends[1]:.10g})")
            if on_log:
                params.add(coordinate, expr=f"log({name})")
    return params


def lmfit_coordinates(params: lmfit.Parameters, law: GrowthModel) -> np.ndarray:
    """Coordinates (P,) of a growth model's parameters."""
    return np.array([params[name].value for name in coordinate_names(law)])


def tie_slopes(params: lmfit.Parameters, law: GrowthModel) -> np.ndarray:
    """Derivatives of all coordinates in those that vary, (P, F)."""
    names = coordinate_names(law)
    varying = [n for n in names if params[n].vary]
    slopes = np.array([[float(n == free) for free in varying] for n in names])
    tied = [i for i, n in enumerate(names) if params[n].expr]
    if tied:
        moved = params.copy()
        for k, free in enumerate(varying):
            ends = []
            for step in (_STEP, -_STEP):
                moved[free].value = params[free].value + step
                ends.append(lmfit_coordinates(moved, law)[tied])
            moved[free].value = params[free].value
            slopes[tied, k] = (ends[0] - ends[1]) / (2 * _STEP)
    return slopes

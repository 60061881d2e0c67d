"""Forward-mode automatic differentiation: exact derivatives of a growth model.

A `Dual` is an array with its derivatives in a few named parameters. NumPy ufuncs work on it as on
arrays, so a growth model is only its formula, and a fit has the exact Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["Dual", "log_cosh", "value"]

Slopes = Callable[..., tuple[Any, ...]]


def log_cosh(x: Any) -> Any:
    """log(cosh(x)) without overflow; of an array or a Dual."""
    if isinstance(x, Dual):
        return x.chain(log_cosh(x.value), np.tanh(x.value))
    size = np.abs(x)
    return size + np.log1p(np.exp(-2 * size)) - np.log(2.0)


def value(x: Any) -> np.ndarray:
    """The array of values, of an array or a Dual."""
    return x.value if isinstance(x, Dual) else np.asarray(x, float)


# ufunc -> derivatives in its arguments, from (result, arguments)
_SLOPES: Mapping[np.ufunc, Slopes] = {
    np.add: lambda y, a, b: (1.0, 1.0),
    np.subtract: lambda y, a, b: (1.0, -1.0),
    np.multiply: lambda y, a, b: (b, a),
    np.divide: lambda y, a, b: (1 / b, -y / b),
    np.power: lambda y, a, b: (b * a ** (b - 1), y * np.log(a)),
    np.maximum: lambda y, a, b: (a >= b, a < b),
    np.minimum: lambda y, a, b: (a <= b, a > b),
    np.logaddexp: lambda y, a, b: (np.exp(a - y), np.exp(b - y)),
    np.negative: lambda y, a: (-1.0,),
    np.exp: lambda y, a: (y,),
    np.expm1: lambda y, a: (y + 1,),
    np.log: lambda y, a: (1 / a,),
    np.log1p: lambda y, a: (1 / (1 + a),),
    np.sqrt: lambda y, a: (0.5 / y,),
    np.square: lambda y, a: (2 * a,),
    np.tanh: lambda y, a: (1 - y * y,),
    np.cosh: lambda y, a: (np.sinh(a),),
    np.sinh: lambda y, a: (np.cosh(a),),
    np.absolute: lambda y, a: (np.sign(a),),
}


class Dual(np.lib.mixins.NDArrayOperatorsMixin):
    """An array (...) and d array / d parameter, by name, each of a shape that broadcasts to it."""

    __slots__ = ("slopes", "value")

    def __init__(self, value: np.ndarray, slopes: Mapping[str, np.ndarray | float]) -> None:
        self.value = value
        self.slopes = dict(slopes)

    @classmethod
    def parameter(cls, name: str, value: np.ndarray) -> Dual:
        """An independent variable."""
        return cls(np.asarray(value, float), {name: 1.0})

    def chain(self, result: np.ndarray, slope: np.ndarray | float) -> Dual:
        """f(self), from f's value and its derivative at self."""
        return Dual(result, {name: slope * d for name, d in self.slopes.items()})

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc not in _SLOPES:
            raise _no_rule(ufunc.__name__)
        plain = [value(a) for a in args]
        result = ufunc(*plain)
        slopes: dict[str, Any] = {}
        for argument, slope in zip(args, _SLOPES[ufunc](result, *plain), strict=True):
            if isinstance(argument, Dual):
                for name, d in argument.slopes.items():
                    term = slope * d
                    slopes[name] = slopes[name] + term if name in slopes else term
        return Dual(result, slopes)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise _no_rule(function.__name__)  # numpy.where and the like would lose the derivatives


def _no_rule(name: str) -> TypeError:
    known = ", ".join(sorted(f.__name__ for f in _SLOPES))
    return TypeError(
        f"numpy.{name} has no derivative rule. A growth model may use: {known}, log_cosh."
    )

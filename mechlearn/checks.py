"""Checks shared by every room: an error names the key, the value, the rule and the remedy."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["finite", "imported", "in_package", "in_range", "one_of", "positive", "same_shape"]


def _fail(key: str, value: Any, rule: str, remedy: str) -> ValueError:
    return ValueError(f"{key}={value!r}: {rule}." + (f" {remedy}" if remedy else ""))


def finite(key: str, value: float, *, remedy: str = "") -> float:
    """Return `value` as float; ValueError if it is NaN or infinite."""
    if not math.isfinite(value):
        raise _fail(key, value, "must be a finite number", remedy)
    return float(value)


def positive(key: str, value: float, *, remedy: str = "") -> float:
    """Return `value` as float; ValueError unless finite and > 0."""
    if not (math.isfinite(value) and value > 0):
        raise _fail(key, value, "must be a positive number", remedy)
    return float(value)


def in_range(key: str, value: float, low: float, high: float, *, remedy: str = "") -> float:
    """Return `value`; ValueError unless low <= value <= high (NaN is refused)."""
    if not (low <= value <= high):
        raise _fail(key, value, f"must lie between {low:g} and {high:g}", remedy)
    return value


def one_of(key: str, value: str, choices: Sequence[Any], *, remedy: str = "") -> str:
    """Return `value`; ValueError unless it is one of `choices`."""
    if value not in choices:
        raise _fail(key, value, "must be one of " + ", ".join(map(str, choices)), remedy)
    return value


def imported(key: str, path: str, *, name: str = "", remedy: str) -> Any:
    """What stands at the dotted path MODULE.NAME that a user gave; ValueError if nothing does.

    An ImportError within that module is the user's own and goes on with its trace.

    Args:
        key, path: as they were given. name: what is read of the module, where the path is its own.
        remedy: what to give in its place.
    """
    module, _, last = path.rpartition(".")
    module, name = (path, name) if name else (module, last)
    try:
        if not all(part.isidentifier() for part in (*module.split("."), name)):
            raise AttributeError("it is no dotted path")
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise _fail(key, path, f"cannot be imported ({error})", remedy) from error
    except AttributeError as error:
        raise _fail(key, path, f"cannot be imported ({error})", remedy) from error


def in_package(path: str, packages: Sequence[str]) -> bool:
    """Whether a dotted path leads into one of the packages."""
    return any(path.startswith(f"{package}.") for package in packages)


def same_shape(key: str, a: np.ndarray, other_key: str, b: np.ndarray) -> None:
    """ValueError unless the two arrays have one shape."""
    if a.shape != b.shape:
        raise ValueError(
            f"{key} has shape {a.shape} but {other_key} has {b.shape}: they must agree."
        )

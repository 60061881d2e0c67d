"""Validated reading of a JSON file or a card: type, finiteness, range and order of entries."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FileEntries"]

MOST = 1_000_000_000  # patients, pixels, levels
_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class FileEntries:
    """A JSON object of a file; every method reads one key or raises a ValueError that names it.

    Attributes:
        source: key and file name, for messages.
        held: the object.
        remedy: last sentence of every error, on how to write the file again.
        where: prefix of the object's keys within the file, such as `laws[0].`.
    """

    source: str
    held: Mapping[str, Any]
    remedy: str
    where: str = ""

    @classmethod
    def read(cls, path: str | Path, *, key: str, remedy: str) -> FileEntries:
        """The object of a JSON file that was given by a key."""
        source = f"{key}={path}"
        try:
            held = json.loads(Path(path).read_text())  # accepts NaN; `number` does not
        except ValueError as error:
            raise ValueError(f"{source}: not JSON ({error}). {remedy}") from error
        return cls.of(held, source, remedy)

    @classmethod
    def of(cls, held: Any, source: str, remedy: str) -> FileEntries:
        """An object that was read before."""
        if not isinstance(held, Mapping):
            raise ValueError(f"{source}: must be a JSON object. {remedy}")
        return cls(source, held, remedy)

    def wrong(self, key: str, value: Any, rule: str) -> ValueError:
        """The error of one key."""
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
        where = f"{self.source}: {self.where}{key}={shown}"
        return ValueError(f"{where}: {rule.rstrip()}. {self.remedy}")

    def value(self, key: str) -> Any:
        if key not in self.held:
            raise self.wrong(key, None, "is missing")
        return self.held[key]

    def only(self, *keys: str) -> None:
        """Refuse keys that this version does not know."""
        for key in self.held:
            if key not in keys:
                raise self.wrong(key, self.held[key], f"is not known; known are {', '.join(keys)}")

    def equal(self, key: str, expected: Any) -> None:
        value = self.value(key)
        if value != expected or isinstance(value, bool) is not isinstance(expected, bool):
            raise self.wrong(key, self.value(key), f"must be {expected!r}")

    def choice(self, key: str, choices: Sequence[str]) -> str:
        if self.value(key) not in choices:
            raise self.wrong(key, self.value(key), f"must be one of {', '.join(choices)}")
        return str(self.value(key))

    def number(
        self, key: str, low: float = -math.inf, high: float = math.inf, *, above: bool = False
    ) -> float:
        """A finite number in [low, high], or in (low, high] with `above`."""
        value = self.value(key)
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or not low <= value <= high or (
            above and value == low
        ):
            raise self.wrong(key, value, f"must be a finite number {_range(low, high, above)}")
        return float(value)

    def count(self, key: str) -> int:
        """A whole number above zero."""
        if self.number(key, 1, MOST) % 1:
            raise self.wrong(key, self.value(key), "must be a whole number")
        return int(self.value(key))

    def numbers(
        self, key: str, shape: tuple[int, ...], low: float = -math.inf, high: float = math.inf, *,
        above: bool = False, ascending: bool = False,
    ) -> np.ndarray:
        """An array of finite numbers in [low, high]."""
        value = self.value(key)
        try:
            found = np.array(value, float) if _are_numbers(value) else np.zeros(())
        except (TypeError, ValueError):
            found = np.zeros(())
        if found.shape != shape:
            sizes = " x ".join(str(n) for n in shape)
            raise self.wrong(key, value, f"must be {sizes} numbers")
        inside = np.isfinite(found) & (found >= low) & (found <= high)
        if not inside.all() or (above and (found == low).any()):
            raise self.wrong(key, value, f"must be finite numbers {_range(low, high, above)}")
        if ascending and (np.diff(found) < 0).any():
            raise self.wrong(key, value, "must ascend")
        return found

    def words(self, key: str) -> tuple[str, ...]:
        value = self.value(key)
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise self.wrong(key, value, "must be a list of names")
        if len(set(value)) < len(value):
            raise self.wrong(key, value, "must not hold a name twice")
        return tuple(value)

    def section(self, key: str) -> FileEntries:
        """An object within this one."""
        value = self.value(key)
        if not isinstance(value, Mapping):
            raise self.wrong(key, value, "must be an object")
        return FileEntries(self.source, value, self.remedy, f"{self.where}{key}.")

    def sections(self, key: str) -> list[FileEntries]:
        """A list of at least one object."""
        value = self.value(key)
        if not isinstance(value, list) or not value or not all(
            isinstance(v, Mapping) for v in value
        ):
            raise self.wrong(key, value, "must be a list of at least one object")
        return [
            FileEntries(self.source, v, self.remedy, f"{self.where}{key}[{i}].")
            for i, v in enumerate(value)
        ]


def _are_numbers(value: Any) -> bool:
    """Whether a value is a number list, possibly nested."""
    return isinstance(value, (list, tuple)) and all(
        _are_numbers(v) or (isinstance(v, (int, float)) and not isinstance(v, bool)) for v in value
    )


def _range(low: float, high: float, above: bool) -> str:
    if math.isinf(high):
        return "" if math.isinf(low) else f"{'above' if above else 'from'} {low:g}"
    return f"{'above' if above else 'from'} {low:g} to {high:g}"

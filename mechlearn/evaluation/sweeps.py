"""The expected cells of a sweep, from the YAML files of its launcher.

The files are read as plain YAML without Hydra, so a table can be collected without it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["cell_overrides", "expected_cells", "normalise", "swept_words"]

_FUNCTION = re.compile(r"^(choice|range)\((.*)\)$", re.DOTALL)
GROUPS = ("sampler", "growth", "guide", "data", "seed")  # overrides without a dot
_OPENING, _CLOSING = "([{", ")]}"


def normalise(override: str) -> tuple[str, str]:
    """`+a.b="c"` -> ("a.b", "c"): key without `+`, value without quotes."""
    key, _, value = override.partition("=")
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return key.strip().lstrip("+"), value


def _split(text: str) -> list[str]:
    """Split on commas outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [part.strip() for part in [*parts, text[start:]]]


def _values(text: str) -> list[str]:
    """The values of a swept override: `a,b`, `choice(a,b)`, `range(1,4)` or a single value."""
    match = _FUNCTION.match(text.strip())
    if match is None:
        return _split(text)
    name, inside = match.groups()
    items = _split(inside)
    if name == "choice":
        return items
    try:
        return [str(i) for i in range(*(int(item) for item in items))]
    except ValueError:
        return [text]  # a float range is not expanded, so its cells have no match


def expected_cells(multirun: Path) -> list[dict[str, str]]:
    """The cells of a sweep in the launcher's order: key -> value, from its `multirun.yaml`.

    Reads `hydra.sweeper.params` and the overrides of the command line, which have precedence.

    Raises:
        ValueError: the file has no `hydra` section.
    """
    content = _load(multirun)
    hydra = content.get("hydra")
    if not isinstance(hydra, Mapping):
        raise ValueError(f"{multirun}: no `hydra` section, so the sweep's cells are unknown. "
                         "Give the folder of a sweep.")
    params = (hydra.get("sweeper") or {}).get("params") or {}
    sweeps = {key.lstrip("+"): _values(str(value)) for key, value in params.items()}
    for override in (hydra.get("overrides") or {}).get("task") or []:
        key, _, value = str(override).partition("=")
        sweeps[key.strip().lstrip("+")] = _values(value)
    names = list(sweeps)
    return [
        dict(normalise(f"{key}={value}") for key, value in zip(names, cell, strict=True))
        for cell in itertools.product(*sweeps.values())
    ]


def cell_overrides(folder: Path) -> dict[str, str]:
    """The overrides of the job in `folder`: key -> value; empty if they are unknown."""
    path = folder / ".hydra" / "overrides.yaml"
    if not path.is_file():
        return {}
    content = yaml.safe_load(path.read_text()) or []
    return dict(normalise(str(override)) for override in content)


def swept_words(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Label of a collected row: the overrides in which rows differ.

    Example:
        >>> rows = [{"sampler.nl": "100", "seed": 0}, {"sampler.nl": "200", "seed": 0}]
        >>> swept_words(rows[0], rows)
        'nl=100'
    """
    swept = [
        key for key in row
        if ("." in key or key in GROUPS) and key != "task.split"
        and len({str(r.get(key)) for r in rows}) > 1
    ]  # fmt: skip
    words = [f"{key.rsplit('.', 1)[-1]}={row[key]}" for key in swept]
    return " ".join(words) or str(row.get("law") or row.get("guidance") or row.get("job"))


def _load(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text())
    return content if isinstance(content, dict) else {}

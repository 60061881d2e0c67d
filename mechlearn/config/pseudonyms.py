"""Data protection for Weights & Biases: pseudonyms replace names of patients.

A text is sent only if its key is in `PLAIN` (names of methods, models and settings). File paths and
days of patients are never sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["HIDDEN", "without_patients", "without_places", "words_without_places"]

HIDDEN = "(not sent)"
PLAIN = frozenset((
    "data", "denoiser", "encode", "engine", "fingerprint", "guidance", "guide", "job", "kind",
    "law", "law_used", "method", "model", "model_version", "order", "population", "precision",
    "setup", "solver", "split", "unit", "weights",
))  # fmt: skip
WITH_SLASH = ("weights", "fingerprint")  # digests, not paths
NAMES = ("patient", "session", "slice_id", "series", "task", "case", "name")  # also if a number
DAY = re.compile(r"(^|_)day(_|$)")
PLACES = re.compile(r"(^|\.)(root|tables|manifest|series|patients_table|companion|options|mix)\b")
NUMBER = re.compile(r"[\d.,\[\]eE+ -]*")


def without_places(values: Any, key: str = "") -> Any:
    """A nested config without paths of the user's files: checkpoints, tables, roots.

    Example:
        >>> without_places({"data": {"manifest": "Anna.csv", "size": 256}})
        {'data': {'manifest': '(not sent)', 'size': 256}}
    """
    if isinstance(values, Mapping):
        return {k: without_places(v, f"{key}.{k}") for k, v in values.items()}
    if isinstance(values, (list, tuple)):
        return [without_places(v, key) for v in values]
    return HIDDEN if isinstance(values, str) and _is_place(key, values) else values


def words_without_places(words: Sequence[str]) -> list[str]:
    """Overrides of a command line without those that hold file paths."""
    parts = [(word, *word.partition("=")[::2]) for word in words]
    return [word for word, key, value in parts if not _is_place(key, value)]


def _is_place(key: str, text: str) -> bool:
    found = bool(PLACES.search(key)) and not NUMBER.fullmatch(text)
    return found or any(mark in text for mark in "/\\")


def without_patients(
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, list[dict[str, Any]]]:
    """Tables with pseudonyms in place of patients, visits and all texts that may hold them.

    A text has the same pseudonym in all tables (`patient 3`, numbered in sorted order), so that
    rows can be joined. Columns of days are left out.

    Args:
        tables: name -> flat rows.

    Example:
        >>> rows = [{"patient": "Anna", "day": 20, "method": "front", "dice": 0.8}]
        >>> without_patients({"maps": rows})
        {'maps': [{'patient': 'patient 1', 'method': 'front', 'dice': 0.8}]}
    """
    texts: dict[str, set[str]] = {}
    for row in (row for rows in tables.values() for row in rows):
        for key, value in row.items():
            if _may_identify(key, value):
                texts.setdefault(key, set()).add(str(value))
    pseudonyms = {key: {text: f"{key} {n}" for n, text in enumerate(sorted(found), 1)}
            for key, found in texts.items()}  # fmt: skip
    return {
        name: [
            {key: pseudonyms[key][str(value)] if _may_identify(key, value) else value
             for key, value in row.items() if not DAY.search(key)}
            for row in rows
        ]
        for name, rows in tables.items()
    }  # fmt: skip


def _may_identify(key: str, value: Any) -> bool:
    """Whether a cell may identify a patient."""
    if key in NAMES:
        return value is not None
    if not isinstance(value, str):
        return False
    return key not in PLAIN or (key not in WITH_SLASH and _is_place("", value))

"""Finished jobs: rows with the fingerprint of everything that they depend on.

A stopped sweep is resumed with the same command and folder: cells with a finished row return at
once, the others run. The fingerprint holds one short digest for each part (`task=1a2b3c4d
sampler=...`), so a job can name the parts that have changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mechlearn
from mechlearn.evaluation.rows import FAILED, ROW, Row, read_row
from mechlearn.files import read_json, write_json

__all__ = [
    "FILES",
    "FINGERPRINT",
    "broken_files",
    "changed_parts",
    "code_digest",
    "content_digest",
    "finished_row",
    "fingerprint",
    "list_files",
    "start",
]

FILES = "files.json"  # beside the row
FINGERPRINT = "fingerprint"  # the row's key
# Packages whose code determines the numbers in a row.
ROOMS = (
    "records", "growth", "spatial", "diffusion", "metrics", "data", "phantom", "models",
    "evaluation",
)
HELPERS = ("agreement.py", "checks.py", "files.py", "progress.py")


def fingerprint(parts: Mapping[str, Any]) -> str:
    """One line with name=digest of every part, in their order.

    Args:
        parts: name -> builtins that JSON can hold.
    """
    return " ".join(f"{name}={_digest(value)}" for name, value in parts.items())


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def content_digest(value: Any) -> str:
    """Digest of a record with all its numbers, texts and arrays, at any depth.

    Args:
        value: builtins, arrays, and dataclasses of them.
    """
    total = hashlib.sha256()
    _feed(total, value)
    return total.hexdigest()[:16]


def _feed(total: Any, value: Any) -> None:
    total.update(type(value).__name__.encode())
    if isinstance(value, np.ndarray):
        total.update(f"{value.dtype}{value.shape}".encode())
        total.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            _feed(total, one.name)
            _feed(total, getattr(value, one.name))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            _feed(total, str(key))
            _feed(total, value[key])
    elif isinstance(value, (list, tuple)):
        total.update(str(len(value)).encode())
        for part in value:
            _feed(total, part)
    elif value is None or isinstance(value, (str, bytes, int, float, np.generic)):
        total.update(repr(value).encode())
    else:
        raise TypeError(f"{type(value).__name__}: a case holds builtins, arrays and dataclasses.")


@cache
def code_digest() -> str:
    """Digest of the version and of all files in `ROOMS` and `HELPERS`."""
    root = Path(mechlearn.__file__).parent
    files = [path for room in ROOMS for path in (root / room).rglob("*")
             if path.suffix in (".py", ".json")]  # fmt: skip
    total = hashlib.sha256(mechlearn.__version__.encode())
    for path in sorted([*files, *(root / name for name in HELPERS)]):
        total.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:12]


def changed_parts(before: str, now: str) -> list[str]:
    """Names of the parts in which two fingerprints differ."""
    old, new = (dict(word.split("=", 1) for word in mark.split()) for mark in (before, now))
    return [name for name in {**old, **new} if old.get(name) != new.get(name)]


def finished_row(folder: str | Path, mark: str) -> tuple[Row | None, str]:
    """(the row of a finished job with this fingerprint in `folder` or None, the reason for None).

    Raises:
        ValueError: `row.json` does not hold a row.
    """
    folder = Path(folder)
    if not (folder / ROW).is_file():
        return None, "no row yet"
    if (folder / FAILED).is_file():
        return None, "its last run failed"
    row = read_row(folder / ROW)
    before = row.get(FINGERPRINT)
    if before is None:
        return None, "its row has no fingerprint"
    if before != mark:
        return None, f"changed since: {', '.join(changed_parts(str(before), mark))}"
    broken = broken_files(folder)
    if broken:
        return None, f"missing or changed: {', '.join(broken[:5])}"
    return row, ""


def list_files(folder: str | Path) -> None:
    """Write files.json, the digests of the job's files in `folder`, before its row is written."""
    folder = Path(folder)
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and _counts(path, folder)]
    write_json(folder / FILES, {p.relative_to(folder).as_posix(): _file_digest(p) for p in kept})


def broken_files(folder: str | Path) -> list[str]:
    """Files in files.json that are missing or have changed; empty without files.json."""
    folder = Path(folder)
    if not (folder / FILES).is_file():
        return []
    listed = read_json(folder / FILES, remedy="Delete it and run the job again.")
    return [name for name, digest in listed.items()
            if not (folder / name).is_file() or _file_digest(folder / name) != digest]  # fmt: skip


def _counts(path: Path, folder: Path) -> bool:
    """Whether a file is a result: not a log, a file of Hydra or W&B, a partial or a lock file."""
    parts = path.relative_to(folder).parts
    hidden = any(part.startswith(".") or part == "wandb" for part in parts)
    return not hidden and path.suffix not in (".log", ".lock") and path.name not in (
        ROW, FAILED, FILES
    )  # fmt: skip


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def start(folder: str | Path) -> None:
    """Remove the row of an earlier, different job, so that a stopped job has no row."""
    (Path(folder) / ROW).unlink(missing_ok=True)

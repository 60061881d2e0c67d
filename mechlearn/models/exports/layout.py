"""Layouts of the files of an exported pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import mechlearn

__all__ = ["Layout", "license_text", "write_json"]


@dataclass(frozen=True)
class Layout:
    """Paths of the manifest and of the weights by role, relative to the folder."""

    manifest: str
    weights: Mapping[str, str]


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; ValueError for a number that is not finite."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def license_text(name: str) -> str:
    """The text of Apache-2.0 from this installation; for another licence its name."""
    if name != "apache-2.0":
        return f"The weights are licensed under: {name}.\n"
    beside = Path(mechlearn.__file__).resolve().parents[1] / "LICENSE"  # a checkout
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    try:
        text = distribution("mechlearn").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    return text or "Apache License 2.0: https://www.apache.org/licenses/LICENSE-2.0\n"

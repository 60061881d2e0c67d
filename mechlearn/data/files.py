"""Atomic writing: a reader meets the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

__all__ = ["read_json", "replace_folder", "write_json"]


def write_json(path: Path, card: Any, *, indent: int | None = 1) -> None:
    """Write JSON through a temporary file in the same folder and os.replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(card, stream, indent=indent, allow_nan=False)
            stream.write("\n")
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read_json(path: Path) -> Any:
    """Read JSON; ValueError naming the file if it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is no valid JSON ({error}). Remove it and prepare again.") from (
            error
        )


def replace_folder(partial: Path, final: Path) -> None:
    """Move a finished folder into place, over an older one if there is one."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.exists():
        old = partial.with_name(partial.name + ".old")
        os.replace(final, old)
        os.replace(partial, final)
        shutil.rmtree(old)
    else:
        os.replace(partial, final)

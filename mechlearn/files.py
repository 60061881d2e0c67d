"""Atomic writing: a reader meets the old file or the new one, never half of one. And locks."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["die_with", "exclusive", "read_json", "replace_folder", "write_json"]

log = logging.getLogger(__name__)
WATCH_S = 0.2  # between two looks whether the parent lives


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
        shutil.rmtree(old, ignore_errors=True)  # an NFS keeps files that someone has open
    else:
        os.replace(partial, final)


@contextmanager
def exclusive(folder: Path, *, what: str, name: str = ".lock") -> Iterator[None]:
    """Wait until no other process is in here with this folder; a killed one's lock is free.

    Args:
        folder: must exist.
        what: the others do, for the log.
        name: of the lock's file in the folder.

    Raises:
        ValueError: a file system that may not be written to or knows no locks.
    """
    lock = FileLock(str(folder / name))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: another process %s; waiting for it", folder, what)
        lock.acquire()
    except OSError as error:
        raise ValueError(
            f"{folder / name}: cannot be locked ({error.strerror or error}). Make the folder "
            "writable; on a network file system without locks put paths.stores elsewhere."
        ) from error
    try:
        yield
    finally:
        lock.release()


def die_with(parent: int | None) -> None:
    """End this worker process soon after its parent is gone.

    The workers of a killed process would wait for work for ever and hold its locks.

    Args:
        parent: process id; None for the one that is the parent now (a fork server, which ends
            when its own parent does).
    """
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

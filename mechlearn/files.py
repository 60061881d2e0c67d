"""Atomic writing: a reader meets the old file or the new one, never half of one. And locks."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "PARTIAL",
    "exclusive",
    "read_json",
    "remove_litter",
    "replace_folder",
    "replacing",
    "write_arrays",
    "write_bytes",
    "write_json",
    "write_text",
]

log = logging.getLogger(__name__)
PARTIAL = ".partial-"  # begins the names of files that are being written
DIGEST = ', "crc32": "'  # begins the last entry of a JSON file that knows its digest


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; move it to `path` when the block ends well.

    The folder is made. The temporary name keeps the endings of `path`, so that a writer that goes
    by them (nibabel) writes the same format. After an error nothing is left; what a killed process
    of this machine left is removed by the next one that writes the same file.

    Example:
        >>> import tempfile
        >>> final = Path(tempfile.mkdtemp()) / "deep" / "a.txt"
        >>> with replacing(final) as partial:
        ...     _ = partial.write_text("whole")
        >>> final.read_text(), len(list(final.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_litter(path)
    mark = f"{PARTIAL}{zlib.crc32(os.uname().nodename.encode()):08x}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=mark, suffix=f".{path.name}", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)  # mkstemp makes files that only the owner can read
        os.replace(partial, path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, name):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def remove_litter(path: Path) -> None:
    """Remove partial files of `path` whose writer, a process of this machine, is gone."""
    mark = f"{PARTIAL}{zlib.crc32(os.uname().nodename.encode()):08x}-"
    for name in os.listdir(path.parent):
        if name.startswith(mark) and name.endswith(f".{path.name}"):
            writer = name.removeprefix(mark).partition("-")[0]
            if writer.isdigit() and not _lives(int(writer)):
                (path.parent / name).unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write bytes atomically; returns the path."""
    with replacing(path) as partial:
        partial.write_bytes(content)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write text as UTF-8 atomically; returns the path."""
    return write_bytes(path, text.encode())


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a compressed NumPy archive (`.npz`) atomically; returns the path."""
    import numpy as np  # not at the top: every command imports this module

    with replacing(path) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    return Path(path)


def write_json(path: Path, card: Any, *, indent: int | None = 1, digest: bool = False) -> None:
    """Write JSON atomically; NaN is refused.

    Args:
        path: of the file.
        card: plain builtins; a mapping where `digest` is asked for.
        indent: of the text.
        digest: end with an entry `crc32` of the text before it, which `read_json` compares.
    """
    text = json.dumps(card, indent=indent, allow_nan=False)
    if digest:
        text = text[:-1].rstrip()
        text += f'{DIGEST}{zlib.crc32(text.encode()):08x}"}}'
    write_text(path, text + "\n")


def read_json(
    path: Path, *, digest: bool = False, remedy: str = "Remove it and prepare again."
) -> Any:
    """Read JSON; ValueError naming the file if it is broken, or holds NaN or infinity.

    Args:
        path: of the file.
        digest: it was written with one, which is compared and left out.
        remedy: what a user does about a broken file.
    """
    try:
        content = path.read_bytes()
        card = json.loads(content, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}). {remedy}") from error
    if digest and isinstance(card, dict) and (wanted := card.pop("crc32", None)) is not None:
        text = content[: max(content.rfind(DIGEST.encode()), 0)]
        if f"{zlib.crc32(text):08x}" != wanted:
            raise ValueError(
                f"{path}: was changed or damaged after it was written (its CRC-32 differs). "
                f"{remedy}"
            )
    return card


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


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

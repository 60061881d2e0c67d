"""Safe reading of torch files, which may be truncated, damaged or malicious; atomic writing."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from mechlearn.files import replacing

__all__ = ["read_torch", "write_torch"]

LFS_POINTER = b"version https://git-lfs"
LOCAL_HEADER = 30  # bytes of the header of a zip member, before its name and extra field
BROKEN = (zipfile.BadZipFile, EOFError, RuntimeError, KeyError, ValueError, struct.error)
REMEDY = "Copy or download it again, or use the packaged weights: demo."


def read_torch(path: str | Path, *, what: str = "checkpoint", mmap: bool = False) -> Any:
    """Read a file of `torch.save` with tensors and builtin values only; no code of it is run.

    torch stores a CRC-32 of every member, but does not verify it. It is verified here, so a changed
    bit is an error.

    Args:
        path: of the file.
        what: name of the file's kind, for an error.
        mmap: memory-map the weights; their CRC-32 is then not verified.

    Raises:
        FileNotFoundError: no such file.
        ValueError: empty, truncated, damaged, a Git LFS pointer, or other objects than tensors and
            builtin values.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path}: no such file. Give the path of a {what}.")
    try:
        if not mmap:
            _compare(path)
        return torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{what} {path}: holds other objects than tensors and builtin values, which could run "
            "code, so it is not read. Use a file that mechlearn wrote."
        ) from error
    except BROKEN as error:
        raise ValueError(
            f"{what} {path}: cannot be read ({_kind(path, error)}). {REMEDY}"
        ) from error


def write_torch(path: str | Path, content: Any) -> Path:
    """Atomic `torch.save`; returns the path. Equal content gives equal bytes.

    Raises:
        OSError: no space, or a limit of the file size; it names the path.
    """
    with replacing(path) as partial, partial.open("wb") as stream:
        try:
            # To a stream, because torch writes the name of a path into the file.
            torch.save(content, stream)
        except RuntimeError as error:
            if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
                raise
            # torch's error has no reason; it is nearly always a full disk.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    return Path(path)


def _kind(path: Path, error: Exception) -> str:
    size = path.stat().st_size
    with path.open("rb") as stream:
        first = stream.read(len(LFS_POINTER))
    if size == 0:
        return "it is empty"
    if first == LFS_POINTER:
        return "it is a Git LFS pointer, not the file itself; run git lfs pull"
    if not first.startswith(b"PK\x03\x04"):
        return "it is not a torch file"
    if isinstance(error, zipfile.BadZipFile) and "CRC" in str(error):
        return str(error)
    return f"it is damaged or ends early, at {size:,} bytes"


def _compare(path: Path) -> None:
    """BadZipFile unless the CRC-32 of every member is right. (`zipfile` would copy each member.)"""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    content = memoryview(path.read_bytes())
    for member in members:
        at = member.header_offset
        name, extra = struct.unpack("<HH", content[at + LOCAL_HEADER - 4 : at + LOCAL_HEADER])
        start = at + LOCAL_HEADER + name + extra
        if zlib.crc32(content[start : start + member.compress_size]) != member.CRC:
            raise zipfile.BadZipFile(f"the CRC-32 of {member.filename} differs: damaged")

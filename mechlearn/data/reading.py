"""Open slice files, a few at a time: what lets a loader worker read random slices quickly."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

__all__ = ["OpenFiles"]

MOST_OPEN = 256  # visits; far below the usual limit of 1024 open files of a process

File = TypeVar("File")


class OpenFiles(Generic[File]):
    """The files used last, each opened once a process.

    Forked and spawned workers begin with none: a handle is never shared between processes, and
    the object can be pickled.

    Args:
        open_file: opens one; called at first use.
        most: as many stay open, the one used longest ago is let go.
    """

    def __init__(self, open_file: Callable[[Path], File], *, most: int = MOST_OPEN) -> None:
        self._open_file = open_file
        self._most = most
        self._pid = os.getpid()
        self._files: OrderedDict[Path, File] = OrderedDict()

    def __call__(self, path: Path) -> File:
        if self._pid != os.getpid():
            self._pid, self._files = os.getpid(), OrderedDict()
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        file = self._files[path] = self._open_file(path)
        if len(self._files) > self._most:
            self._files.popitem(last=False)
        return file

    def __len__(self) -> int:
        return len(self._files)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict()}

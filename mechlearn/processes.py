"""Pools of worker processes that end with their parent, also inside a job of a joblib sweep."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

__all__ = ["die_with", "worker_pool"]

WATCH_S = 0.2  # seconds between two checks that the parent is alive


def worker_pool(
    workers: int, *, method: str | None = None, begin: Callable[[], None] | None = None
) -> ProcessPoolExecutor:
    """A pool of processes that end soon after this process ends.

    joblib's workers set the start method `loky`, which their child processes do not know. A pool
    inside a job of `launcher=joblib` therefore uses the default start method of Python.

    Args:
        method: start method, such as `spawn`; None for the default.
        begin: called once in each process, before its first task. Picklable.
    """
    if mp.get_start_method() not in mp.get_all_start_methods():
        mp.set_start_method(None, force=True)  # back to the default
    context = mp.get_context(method)
    parent = None if context.get_start_method() == "forkserver" else os.getpid()
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(parent, begin)
    )


def _begin(parent: int | None, begin: Callable[[], None] | None) -> None:
    die_with(parent)
    if begin is not None:
        begin()


def die_with(parent: int | None) -> None:
    """End this worker process soon after its parent ends.

    Otherwise the workers of a killed process wait for work without end and keep its locks.

    Args:
        parent: process id; None for the current parent (a fork server, which ends with its own
            parent).
    """
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

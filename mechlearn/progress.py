"""Progress of long work: a bar with the remaining time on a terminal, otherwise log lines."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["countdown", "duration", "progress", "tracked"]

LOG_EVERY_S = 5.0  # seconds between two lines of a log
T = TypeVar("T")


class Advance(Protocol):
    """Report `steps` more finished steps, with a note on the last."""

    def __call__(self, steps: int = 1, *, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int, *, logger: logging.Logger) -> Iterator[Advance]:
    """Yield a function that advances the progress of `total` steps of `what`."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TextColumn("to go"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total)

            def advance_bar(steps: int = 1, *, note: str = "") -> None:
                bar.update(task, advance=steps, description=f"{what} {note}".strip())

            yield advance_bar
        return
    report = countdown(what, log=logger)
    done = 0

    def advance_log(steps: int = 1, *, note: str = "") -> None:
        nonlocal done
        done += steps
        if steps:
            report(done, total)

    yield advance_log


def duration(seconds: float) -> str:
    """75 -> '1 min 15 s', 7300 -> '2 h 2 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def countdown(what: str, *, log: logging.Logger) -> Callable[[int, int], None]:
    """A function (done, total) that logs the finished share and the estimated remaining time.

    It logs the first call, the last call, and between them at most one every `LOG_EVERY_S`.
    """
    start = time.monotonic()
    last = -math.inf

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < LOG_EVERY_S:
            return
        last = now
        left = (now - start) / done * (total - done)
        log.info("%s: %d of %d done in %s, about %s to go",
                 what, done, total, duration(now - start), duration(left))

    return report


def tracked(items: Sequence[T], what: str, *, log: logging.Logger) -> Iterator[T]:
    """Yield the items; log the number of finished items and the estimated remaining time."""
    report = countdown(what, log=log)
    for done, item in enumerate(items, start=1):
        yield item
        report(done, len(items))

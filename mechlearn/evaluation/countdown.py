"""How far, and how long to go: one log line an item."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["countdown", "duration", "tracked"]

T = TypeVar("T")


def duration(seconds: float) -> str:
    """75 -> '1 min 15 s', 7300 -> '2 h 2 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def countdown(what: str, *, log: logging.Logger) -> Callable[[int, int], None]:
    """A function (done, total) that logs how many are done and how long the rest will take."""
    start = time.monotonic()

    def report(done: int, total: int) -> None:
        spent = time.monotonic() - start
        left = spent / done * (total - done)
        log.info("%s: %d of %d done in %s, about %s to go",
                 what, done, total, duration(spent), duration(left))

    return report


def tracked(items: Sequence[T], what: str, *, log: logging.Logger) -> Iterator[T]:
    """Yield the items; after each, log how many are done and how long the rest will take."""
    report = countdown(what, log=log)
    for done, item in enumerate(items, start=1):
        yield item
        report(done, len(items))

"""Progress of long work: a bar with time to go on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["progress"]

LOG_EVERY_S = 15.0


class Advance(Protocol):
    """Report `steps` more steps done, with a word on the last."""

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
    begun = last = time.monotonic()
    done = 0

    def advance_log(steps: int = 1, *, note: str = "") -> None:
        nonlocal done, last
        done += steps
        now = time.monotonic()
        if steps and (done >= total or now - last >= LOG_EVERY_S):
            last = now
            to_go = (now - begun) / done * (total - done)
            logger.info("%s: %d of %d, %.0f s to go %s", what, done, total, to_go, note)

    yield advance_log

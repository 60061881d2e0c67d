"""One clear line for what a user can mend; a whole trace for what only a programmer can."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mechlearn.config.names import in_multirun
from mechlearn.evaluation.rows import write_failure
from mechlearn.extras import missing_extra

__all__ = ["UserError", "clear_errors"]

log = logging.getLogger(__name__)
STOPPED = 143  # as a shell reports SIGTERM


class UserError(CompactHydraException):
    """Hydra prints it as its message alone; HYDRA_FULL_ERROR=1 shows the trace behind it."""


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is the library's: then the message was written for users."""
    module = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return module == "__main__" or module.split(".")[0] == "mechlearn"


def _shorten(error: Exception) -> Exception:
    expected = isinstance(error, (ValueError, FileNotFoundError))
    if isinstance(error, ImportError) and (text := missing_extra(error)) is not None:
        return UserError(text)
    if isinstance(error, OmegaConfBaseException):
        return UserError(str(error).splitlines()[0])
    if expected and _raised_by_us(error.__traceback__):
        return UserError(str(error))
    return error


def clear_errors(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Wrap a Hydra task: a failed job leaves `failed.json` in its output folder and one line.

    In a sweep the other jobs go on (Hydra raises the first failure at the end).
    """

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except SystemExit as stop:
            # Lightning's, of a run that was told to stop, says nothing: to a scheduler, success.
            raise SystemExit(STOPPED if stop.code is None else stop.code) from stop
        except Exception as error:
            write_failure(Path(HydraConfig.get().runtime.output_dir), error)
            short = _shorten(error)
            if in_multirun():
                log.error("job %s failed: %s", HydraConfig.get().job.num, error)
            if short is error:
                raise
            raise short from error

    return wrapped

"""One line for a fault of the user's input, files or machine; a trace for the program's own.

`reported` is around every command. It prints what `user_text` says of an error and ends with exit
status 1; where `user_text` says nothing the error goes on, with its trace. HYDRA_FULL_ERROR=1 shows
the trace of every error.
"""

from __future__ import annotations

import errno
import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mechlearn.extras import missing_extra

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["UserError", "clear_errors", "reported", "user_text"]

log = logging.getLogger(__name__)
STOPPED = 143  # as a shell reports SIGTERM
INTERRUPTED = 130  # as a shell reports Ctrl-C
FULL_TRACE = "HYDRA_FULL_ERROR"
REMEDIES = {
    errno.ENOSPC: "Free space there, or write elsewhere (paths.outputs=FOLDER).",
    errno.EDQUOT: "Free space there, or write elsewhere (paths.outputs=FOLDER).",
    errno.EFBIG: "A limit allows no larger file (ulimit -f). Write elsewhere, or raise it.",
    errno.EACCES: "Change its permissions, or give another path.",
    errno.EPERM: "Change its permissions, or give another path.",
    errno.EROFS: "Give a path that can be written (paths.outputs=FOLDER).",
    errno.ENOTDIR: "A part of the path is a file. Give another path.",
    errno.EEXIST: "Move it away, or give another path.",
    errno.EISDIR: "Give the path of a file.",
    errno.ENOENT: "Give a path that is there.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ELOOP: "Its links lead in a circle. Give another path.",
    errno.EMFILE: "Allow more open files (ulimit -n), or lower data.loader.num_workers.",
    errno.ENOMEM: "Free memory, or lower data.workers and data.loader.batch_size.",
    errno.EIO: "Check the disk or the network drive, then run the command again.",
    errno.ESTALE: "Check the network drive, then run the command again.",
}
REMOVED = {
    "sampler/placed": "placed was removed: take sampler=labels, which asks for size and place."
}
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class UserError(Exception):
    """Its message is all that a user needs."""


def user_text(error: BaseException) -> str | None:
    """What a user reads of an error; None for a fault of the program."""
    names = {kind.__name__ for kind in type(error).__mro__}
    expected = isinstance(error, (ValueError, FileNotFoundError, RuntimeError))
    if isinstance(error, ImportError) and (text := missing_extra(error)) is not None:
        return text
    if isinstance(error, UserError) or (expected and _raised_by_us(error.__traceback__)):
        return str(error)
    if "InstantiationException" in names:
        return " ".join(str(error).split())
    if names & {"HydraException", "MisconfigurationException"}:
        return _composition_text(error)
    if "OmegaConfBaseException" in names:
        key = getattr(error, "full_key", None)
        text = str(error).splitlines()[0]
        return f"{key}: {text}" if key else text
    if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
        return (
            f"not enough memory ({str(error).splitlines()[0] if str(error) else 'RAM'}). Lower "
            "data.workers, data.loader.batch_size, sampler.batch or the size of the volumes."
        )
    found = [e for e in _chain(error) if isinstance(e, OSError) and e.errno in REMEDIES]
    named = [e for e in found if e.filename is not None]
    return _of_machine((named or found)[0]) if found else None


def _composition_text(error: BaseException) -> str:
    """Hydra's text of several lines in one: the override, the rule, and what there is to choose."""
    text, cause = str(error), error.__cause__
    if found := re.search(r"Could not find '(.+)/(.+)'", text):
        group, name = found.groups()
        if removed := next((w for key, w in REMOVED.items() if f"'{key}'" in text), ""):
            return f"{group}={name}: {removed}"
        there = re.search(r"Available options in .*:\n((?:\t.*\n?)+)", text)
        choice = f" Choose one of {', '.join(there[1].split())}." if there else ""
        return f"{group}={name}: no such recipe.{choice}"
    if cause is not None and "OmegaConfBaseException" in {k.__name__ for k in type(cause).__mro__}:
        override = text.splitlines()[0].removeprefix("Error merging override ")
        return f"{override}: {str(cause).splitlines()[0].rstrip('.')}."
    return " ".join(text.split())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised in the handling of, the first of all first."""
    seen = [error]
    while (before := seen[-1].__cause__ or seen[-1].__context__) is not None:
        if before in seen:
            break
        seen.append(before)
    return reversed(seen)


def _of_machine(error: OSError) -> str:
    where = error.filename2 or error.filename
    place = "" if where is None else f"{os.fsdecode(where) if where else '(empty path)'}: "
    number = error.errno or 0
    return f"{place}{error.strerror or os.strerror(number)}. {REMEDIES[number]}"


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is the library's: then the message was written for users."""
    module = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return module == "__main__" or module.split(".")[0] == "mechlearn"


@contextmanager
def reported(name: str, *, status: int = 1) -> Iterator[None]:
    """Print an error of the user's input or machine as one line and exit; see the module.

    Args:
        name: of the command.
        status: exit status after such an error.

    Raises:
        SystemExit: of `status`; 130 after Ctrl-C, 141 where the reader of a pipe has gone.
    """
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        with suppress(OSError):  # nothing more can be written there
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except Exception as error:
        text = user_text(error)
        if text is None or os.environ.get(FULL_TRACE) == "1":
            raise
        sys.stderr.write(f"{name}: {_printable(text)}\n")
        raise SystemExit(status) from error


def _printable(text: str) -> str:
    """The text with control characters (of a file's name, say) as escapes."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def clear_errors(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Wrap a Hydra task: a failed job leaves `failed.json` in its output folder and one line.

    In a sweep the other jobs go on (Hydra raises the first failure at the end).
    """

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> Any:
        try:
            outcome = task(cfg)
        except SystemExit as stop:
            # Lightning's, of a run stopped by a signal, carries no status: to a scheduler, success.
            raise SystemExit(STOPPED if stop.code is None else stop.code) from stop
        except Exception as error:
            _note_failure(error)
            text = user_text(error)
            if text is None:
                raise
            raise UserError(text) from error
        _forget_failure()
        return outcome

    return wrapped


def _job_folder() -> Path:
    from hydra.core.hydra_config import HydraConfig

    return Path(HydraConfig.get().runtime.output_dir)


def _forget_failure() -> None:
    """Remove failed.json of an earlier attempt in the same folder."""
    from mechlearn.evaluation.rows import FAILED

    with suppress(OSError):
        (_job_folder() / FAILED).unlink(missing_ok=True)


def _note_failure(error: Exception) -> None:
    """Leave failed.json; where that fails too (a full disk), the first error is reported."""
    from hydra.core.hydra_config import HydraConfig

    from mechlearn.config.names import in_multirun
    from mechlearn.evaluation.rows import write_failure

    with suppress(OSError):
        write_failure(_job_folder(), error)
    if in_multirun():
        log.error("job %s failed: %s", HydraConfig.get().job.num, error)

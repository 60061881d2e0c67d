"""The common wrapper of all Hydra commands: help, schemas, errors in one line."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mechlearn.config import errors
from mechlearn.config.help_pages import HELP, help_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["hydra_command", "quoted"]

FLAGS = {"--quiet": "show=quiet", "--json": "show=json"}  # of the forecast
PLAIN = re.compile(r"[A-Za-z/.][\w./-]*")  # values that Hydra's grammar reads as text
TEXTS = (  # keys whose value is text: a path, a name, a day such as +60
    "patient", "patient_id", "patients_table", "day", "prior", "name", "out", "init", "resume",
    "skip", "align", "segment",
    "data.root", "data.tables", "data.manifest", "data.name", "task.series",
    "task.companion", "task.patients_table", "growth.population",
    "checkpoints.denoiser", "checkpoints.guide", "checkpoints.drawer", "hydra.run.dir",
    "hydra.sweep.dir", "paths.outputs",
)  # fmt: skip


def hydra_command(name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], Any]]:
    """Decorator that makes a task the command `name`, composed from `conf/<name>.yaml`.

    `--help` prints a short page without loading Hydra, `--help all` prints Hydra's own page.

    Args:
        name: of the command, its recipe and its schema.
    """

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], Any]:
        @functools.wraps(task)
        def main() -> Any:
            asked = sys.argv[1:]
            if asked in (["--help"], ["-h"]):
                sys.stdout.write(help_text(name))
                return None
            if asked == ["--help", "all"]:
                sys.argv[1:] = ["--help"]
            words = [FLAGS.get(word, word) for word in sys.argv[1:]]
            sys.argv[1:] = [quoted(word, sweep=_is_sweep(asked)) for word in words]
            with errors.reported(name):
                return _run(name, task, asked)

        return main

    assert name in HELP
    return decorate


def _run(name: str, task: Callable[[DictConfig], Any], asked: list[str]) -> Any:
    """Compose and run; errors are raised unchanged, for `errors.reported`."""
    import hydra
    from hydra.errors import HydraException

    from mechlearn.config import ranges, recipes, schema, targets
    from mechlearn.config.names import in_multirun
    from mechlearn.config.nearest_keys import misspelt
    from mechlearn.config.specs import typed_words

    ranges.check_names(asked)
    schema.register()
    run = hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name=name)
    started = False
    failed: list[Exception] = []

    @functools.wraps(task)
    def checked(cfg: DictConfig) -> Any:
        words = typed_words()
        targets.check_targets(cfg, words)
        ranges.check_ranges(cfg)
        targets.allow_own(cfg, words)
        return task(cfg)

    @functools.wraps(task)
    def noted(cfg: DictConfig) -> Any:
        nonlocal started
        started = True
        try:
            return errors.clear_errors(checked)(cfg)
        except Exception as error:
            if in_multirun():
                raise
            failed.append(error)  # returned, because Hydra prints a line about raised errors
            return None

    try:
        with _full_errors():
            outcome = run(noted)()
    except HydraException as error:
        if started:
            raise
        unknown = "\n".join(misspelt(name, asked))  # Hydra's text for these has five lines
        raise errors.UserError(unknown or errors.user_text(error) or str(error)) from error
    except OSError as error:
        if started:
            raise
        reason = error.strerror or str(error)
        raise errors.UserError(
            f"{error.filename}: the output folder cannot be made ({reason}). Give another one: "
            "paths.outputs=FOLDER."
        ) from error
    if failed:
        raise failed[0]
    return outcome


@contextmanager
def _full_errors() -> Iterator[None]:
    """Hydra raises errors unchanged."""
    before = os.environ.get(errors.FULL_TRACE)
    os.environ[errors.FULL_TRACE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[errors.FULL_TRACE]
        else:
            os.environ[errors.FULL_TRACE] = before


def _is_sweep(words: list[str]) -> bool:
    return "-m" in words or "--multirun" in words


def quoted(word: str, *, sweep: bool = False) -> str:
    """An override with quotes, so that Hydra reads its value as text.

    Hydra's grammar reads `patient_id=1_2` as 12 and `day=+60` as 60, and fails at a path with `=`,
    `(` or `,`. Values of the keys in `TEXTS` are quoted, unless they are null, already quoted, a
    list, an interpolation, or several values of a sweep.

    Example:
        >>> quoted("patient_id=1_2"), quoted("patient=/data/a(1)/v.csv"), quoted("seed=1")
        ("patient_id='1_2'", "patient='/data/a(1)/v.csv'", 'seed=1')
    """
    key, equals, value = word.partition("=")
    if not equals or key.lstrip("+") not in TEXTS or value in ("", "null"):
        return word
    is_days = key.lstrip("+") == "day" and value[0] == "["  # in which the grammar drops a plus
    if (value[0] in "'\"[{" and not is_days) or "${" in value or (sweep and "," in value):
        return word
    if PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "nan", "inf"):
        return word
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"

"""What every Hydra command does around its task: help, schemas, errors in one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mechlearn.config.help_pages import HELP, help_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = ["hydra_command"]


def hydra_command(name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], Any]]:
    """Make a task the command `name`, composed from `conf/<name>.yaml`.

    `--help` prints a short page without loading Hydra, `--help all` prints Hydra's own page.

    Args:
        name: of the command, its recipe and its schema.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], Any]:
        @functools.wraps(task)
        def main() -> Any:
            asked = sys.argv[1:]
            if asked in (["--help"], ["-h"]):
                sys.stdout.write(help_text(name))
                return None
            if asked == ["--help", "all"]:
                sys.argv[1:] = ["--help"]
            import hydra

            from mechlearn.config import errors, recipes, schema

            schema.register()
            run = hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name=name)
            return run(errors.clear_errors(task))()

        return main

    assert name in HELP
    return decorate

"""`prepare strip=` and `segment=` refuse what they cannot do, before a program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mechlearn.config.user_programs import run_user_program

TABLE = ("data=manifest", "data.manifest=visits.csv")


@pytest.mark.usefixtures("fresh_hydra")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("strip=a", *TABLE), "type the command"),
        (("strip=a", "segment=b", *TABLE), "one at a time"),
        (("segment=b", "data=brats"), "works on the visits of a table"),
    ],
)
def test_refused(composed: Callable[..., Any], words: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        run_user_program(composed("prepare", *words))


@pytest.mark.usefixtures("fresh_hydra")
def test_the_command_of_a_recipe_is_refused(composed: Callable[..., Any]) -> None:
    cfg = composed("prepare", "strip=a", *TABLE)
    cfg.command = "x INPUT OUTPUT"  # set, but not typed
    with pytest.raises(ValueError, match="type the command"):
        run_user_program(cfg)

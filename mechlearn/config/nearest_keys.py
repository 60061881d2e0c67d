"""Suggestions for misspelt keys of a configuration that does not compose."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mechlearn.config import recipes

__all__ = ["misspelt"]

LIKE = 0.6  # least similarity (difflib) of a suggested key


def misspelt(command: str, words: Sequence[str]) -> list[str]:
    """One line for each override with an unknown key; [] where all are known.

    Args:
        command: recipe of the overrides.
        words: the command line, such as `["+experiment=demo", "sampler.stesp=4"]`.
    """
    overrides = [w for w in words if "=" in w and not w.startswith("-")]
    groups = {p.name for p in Path(recipes.conf_dir()).iterdir() if p.is_dir()}
    chosen = [w.split(",")[0] for w in overrides if w.lstrip("+").split("=")[0] in groups]
    cfg = _composed(command, chosen)
    if cfg is None:
        return []
    known = {*_keys(OmegaConf.to_container(cfg, resolve=False)), *groups}
    given = [w.split("=")[0] for w in overrides if w[0] not in "+~" and w not in chosen]
    return [
        _line(command, key, known)
        for key in given
        if key not in known and key.split(".")[0] != "hydra" and "@" not in key
    ]


def _composed(command: str, overrides: list[str]) -> DictConfig | None:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=recipes.conf_dir()):
            return compose(command, overrides)
    except (HydraException, OmegaConfBaseException):  # Hydra's message names the wrong recipe
        return None


def _keys(node: Any, above: str = "") -> Iterator[str]:
    for name, value in node.items() if isinstance(node, dict) else ():
        yield f"{above}{name}"
        yield from _keys(value, f"{above}{name}.")


def _line(command: str, key: str, known: set[str]) -> str:
    like = difflib.get_close_matches(key, sorted(known), n=1, cutoff=LIKE)
    last = key.split(".")[-1]
    if not like:  # the same name in another group
        like = sorted(k for k in known if k.split(".")[-1] == last)[:1]
    meant = f"Did you mean {like[0]}?" if like else "No key is similar."
    return f"{key}: {command} has no such key. {meant} --help lists the main ones."

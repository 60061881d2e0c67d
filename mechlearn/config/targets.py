"""Classes that a recipe may name by `_target_`: anything else could run a program or fetch a file.

Packages of the user's own are added by `allow_targets=[mylab]` on the command line, nowhere else:
a recipe, a checkpoint or a bundle from a stranger cannot allow itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import in_package

__all__ = ["TARGETS", "allow_own", "check_targets"]

TARGETS = ("mechlearn", "monai.networks", "pytorch_lightning", "torch.optim")
KEY = "allow_targets"


def check_targets(cfg: DictConfig, words: Sequence[str]) -> None:
    """ValueError for a class outside of `TARGETS` and of the packages that were typed.

    Args:
        cfg: of a command.
        words: its command line.
    """
    own = _own_packages(cfg, words)
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    for key, node in _built(plain):
        if not isinstance(node, dict) or "_target_" not in node:
            raise ValueError(f"{key}={node!r}: must be a group with the class in {key}._target_.")
    for key, value in _targets(plain):
        if not isinstance(value, str) or not in_package(value, (*TARGETS, *own)):
            raise ValueError(
                f"{key}={value}: a recipe may name classes of {', '.join(TARGETS)} alone. For a "
                f"class of your own type {KEY}=[PACKAGE] on the command line, PACKAGE being the "
                "first part of its name."
            )


def allow_own(cfg: DictConfig, words: Sequence[str]) -> None:
    """Let networks of the typed packages be built, by training and from checkpoints alike."""
    if own := _own_packages(cfg, words):
        from mechlearn.models.network_targets import allow  # torch: not for a command without it

        allow(*own)


def _own_packages(cfg: DictConfig, words: Sequence[str]) -> list[str]:
    own = [str(name) for name in cfg.get(KEY) or ()]
    if own and not any(word.lstrip("+").startswith(f"{KEY}=") for word in words):
        raise ValueError(
            f"{KEY}={own} stands in a recipe: it counts on the command line alone. Type it there "
            "if the code is yours."
        )
    for name in own:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"{KEY}={name!r}: must be the name of a package, such as [mylab].")
    return own


def _built(cfg: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """What is made into an object; a callback of null is left out."""
    for key in ("trainer", "logger"):
        if key in cfg:
            yield key, cfg[key]
    callbacks = cfg.get("callbacks") or {}
    yield from ((f"callbacks.{name}", node) for name, node in callbacks.items() if node is not None)
    if "model" in cfg:
        yield "model.network", cfg["model"]["network"]
    plugins = cfg.get("trainer", {}).get("plugins") or []
    for plugin in plugins if isinstance(plugins, list) else [plugins]:
        yield "trainer.plugins", plugin


def _targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every `_target_`."""
    if isinstance(node, list):
        for value in node:
            yield from _targets(value, key)
    for name, value in node.items() if isinstance(node, dict) else ():
        dotted = f"{key}.{name}" if key else str(name)
        if name == "_target_":
            yield dotted, value
        else:
            yield from _targets(value, dotted)

"""Checkpoint files: weights, and a card with their description under one key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

import mechlearn
from mechlearn.file_entries import FileEntries
from mechlearn.models.torch_files import read_torch

__all__ = ["CARD_KEY", "GUIDES", "KINDS", "check_card", "packaged", "read_checkpoint"]

CARD_KEY = "mechlearn"
GUIDES = ("regressor", "segmenter")
KINDS = ("ddpm", *GUIDES, "label_segmenter")
_REMEDY = "Use a checkpoint written by python -m mechlearn.train or python -m mechlearn.export."


def packaged(name: str) -> Path:
    """Path of a weight file shipped with the package: ddpm, regressor or segmenter."""
    path = Path(mechlearn.__file__).parent / "weights" / f"{name}.pt"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: this installation has no packaged weights. Install the wheel, or give your "
            "checkpoints: checkpoints.denoiser=PATH checkpoints.guide=PATH."
        )
    return path


def read_checkpoint(source: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(card, weights) of a checkpoint file; EMA weights if it has them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: safetensors without a card, a damaged file, no card, or weights that are not
            finite.
    """
    if not source.is_file():
        raise FileNotFoundError(
            f"checkpoint {source}: no such file. Train one (python -m mechlearn.train "
            "+experiment=...) or use the packaged weights: demo."
        )
    if source.suffix == ".safetensors":
        raise ValueError(
            f"checkpoint {source}: holds only weights; their card is in the folder's config.json. "
            f"Give the exported folder: {source.parent}."
        )
    content = read_torch(source)
    if not isinstance(content, dict) or CARD_KEY not in content:
        raise ValueError(
            f"checkpoint {source}: has no '{CARD_KEY}' card, so network, schedule and intensity "
            "range are unknown. Use a checkpoint written by python -m mechlearn.train."
        )
    # Lightning's EMA callback stores the averaged weights in `state_dict`.
    weights = {k.removeprefix("network."): v for k, v in content.get("state_dict", {}).items()}
    check_card(content[CARD_KEY], str(source))
    for name, value in weights.items():
        if not (isinstance(value, Tensor) and bool(value.sum().isfinite())):
            raise ValueError(
                f"checkpoint {source}: the weight {name} holds NaN or infinity. Training diverged; "
                "use an earlier checkpoint, or train again with a lower optimizer.lr."
            )
    return content[CARD_KEY], weights


def check_card(card: Any, source: str) -> None:
    """ValueError, naming the file and the entry, unless a card can be run and trusted."""
    file = FileEntries.of(card, f"checkpoint {source}: card", _REMEDY)
    file.choice("kind", KINDS)
    file.section("network")
    schedule = file.section("schedule")
    schedule.choice("kind", ("linear", "cosine"))
    schedule.count("levels")
    schedule.number("beta_end", schedule.number("beta_start", 0, 1), 1)
    data = file.section("data")
    if not data.words("contrasts"):
        raise data.wrong("contrasts", [], "must name one at least")
    data.count("size")
    data.number("pixel_mm", 0, 100, above=True)
    intensity = data.section("intensity")
    if "percentiles" in intensity.held:
        intensity.numbers("percentiles", (2,), 0, 100, ascending=True)
    if "gain" in file.held:
        file.number("gain", 0, above=True)

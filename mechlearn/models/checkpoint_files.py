"""Checkpoint files: weights, and a card with their description under one key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

import mechlearn
from mechlearn.models.torch_files import read_torch

__all__ = ["CARD_KEY", "check_card", "packaged", "read_checkpoint"]

CARD_KEY = "mechlearn"


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
    """ValueError unless a card has all entries that are needed to run its network."""
    wanted: dict[str, type] = {"kind": str, "network": dict, "schedule": dict, "data": dict}
    found = card if isinstance(card, dict) else {}
    lacking = [key for key, kind in wanted.items() if not isinstance(found.get(key), kind)]
    data = found["data"] if not lacking else {}
    lacking += [f"data.{key}" for key in ("contrasts", "size", "pixel_mm", "intensity")
                if not lacking and key not in data]  # fmt: skip
    gain = found.get("gain", 1.0)
    if not isinstance(gain, (int, float)) or not (math.isfinite(gain) and gain > 0):
        lacking.append(f"gain (it is {gain!r}; it must be a positive number)")
    if lacking:
        raise ValueError(
            f"checkpoint {source}: its card lacks {', '.join(lacking)}. Use a checkpoint written "
            "by python -m mechlearn.train or python -m mechlearn.export."
        )

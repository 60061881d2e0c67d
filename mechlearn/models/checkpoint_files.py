"""Checkpoint files: weights and, under one key, the card that describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import mechlearn

__all__ = ["CARD_KEY", "packaged", "read_checkpoint"]

CARD_KEY = "mechlearn"


def packaged(name: str) -> Path:
    """Path of a weight file shipped with the package: ddpm, regressor or segmenter."""
    path = Path(mechlearn.__file__).parent / "weights" / f"{name}.pt"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: this installation ships no demo weights. Install the wheel, or give a "
            "checkpoint of your own: checkpoints.denoiser=PATH checkpoints.guide=PATH."
        )
    return path


def read_checkpoint(source: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(card, weights) of a checkpoint file; EMA weights where there are any.

    Raises:
        FileNotFoundError: no such file.
        ValueError: bare safetensors, or no card in the file.
    """
    if not source.is_file():
        raise FileNotFoundError(
            f"checkpoint {source}: no such file. Train one (python -m mechlearn.train "
            "+experiment=...) or use the packaged weights: demo."
        )
    if source.suffix == ".safetensors":
        raise ValueError(
            f"checkpoint {source}: holds weights alone; their card is in the folder's config.json. "
            f"Give the exported folder: {source.parent}."
        )
    content = torch.load(source, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or CARD_KEY not in content:
        raise ValueError(
            f"checkpoint {source}: holds no '{CARD_KEY}' card, so network, schedule and intensity "
            "range are unknown. Use a checkpoint written by python -m mechlearn.train."
        )
    # Lightning's EMA callback keeps the averaged weights in `state_dict` itself.
    weights = {k.removeprefix("network."): v for k, v in content["state_dict"].items()}
    return content[CARD_KEY], weights

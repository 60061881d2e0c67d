"""Training of the inpainter: parts of tumours are hidden, and their image is to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mechlearn.models.label_networks import LabelInpainter, label_map, mean_and_spread
from mechlearn.spatial.hidden_tumour import inpainting_task

__all__ = ["inpainting_error"]

STREAM = 6  # random stream of a draw; see `data.augmentation`
# Share of tissue in the outermost pixels of a tumour: .54 in FLAIR, .63 in T2 and T1c, .81 in T1
# (medians of 29 slices of training patients, of which each pixel further in has .6 of the last).
FADED = (0.3, 1.0)  # range
FADES = 0.75  # probability that a remaining tumour fades
AROUND_PX = 8  # tissue is averaged over squares of 2 AROUND_PX + 1 pixels


def inpainting_error(network: LabelInpainter, batch: dict[str, Any], *, seed: int) -> Tensor:
    """Absolute error of each contrast over the pixels that are not known, (C,), in units of the
    brain's standard deviation.

    Args:
        network: the inpainter.
        batch: of `data.datasets.as_floats`.
        seed: what is hidden is a function of it and of the draws.
    """
    image, brain = batch["image"], batch["brain"]
    labels, inside = batch["labels"].cpu().numpy(), brain[:, 0].cpu().numpy() > 0
    streams = [np.random.default_rng([seed, STREAM, draw]) for draw in batch["draw"]]
    tasks = [inpainting_task(*task) for task in zip(labels, inside, streams, strict=True)]
    known, fading = (
        torch.from_numpy(np.stack(v)).to(image)[:, None] for v in zip(*tasks, strict=True)
    )
    share = (fading * _fading_by_contrast(image, streams)).clamp_max(1)
    tissue = brain * (batch["labels"] == 0)[:, None]
    start = image + share * (_around(image, tissue) - image)
    made = network(start, label_map(batch["labels"], brain), known)
    _, spread = mean_and_spread(image, brain)
    asked = (known < 1) * batch["present"][:, :, None, None]
    errors = (made - image).abs() * asked / spread.clamp_min(0.1)
    total: Tensor = errors.sum((0, 2, 3)) / asked.sum((0, 2, 3)).clamp_min(1)
    return total


def _fading_by_contrast(image: Tensor, streams: Sequence[np.random.Generator]) -> Tensor:
    """Share of tissue in the outermost pixels, (B, C, 1, 1); 0 where nothing fades."""
    shares = [rng.uniform(*FADED, image.shape[1]) * (rng.random() < FADES) for rng in streams]
    return torch.from_numpy(np.stack(shares)).to(image)[:, :, None, None]


def _around(image: Tensor, tissue: Tensor) -> Tensor:
    """Mean of the tissue around each pixel, (B, C, H, W); of all tissue where none is near."""
    sums, near = (
        F.avg_pool2d(x, 2 * AROUND_PX + 1, 1, AROUND_PX) for x in (image * tissue, tissue)
    )
    count = tissue.sum((2, 3), keepdim=True).clamp_min(1)
    overall = (image * tissue).sum((2, 3), keepdim=True) / count
    return torch.where(near > 0, sums / near.clamp_min(1e-6), overall)

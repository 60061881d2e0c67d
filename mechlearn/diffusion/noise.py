"""Which noise level each training image gets."""

from __future__ import annotations

import torch
from torch import Tensor

from mechlearn.checks import in_range

__all__ = ["sample_levels"]


def sample_levels(
    n: int, *, lowest: int, highest: int, share: float = 0.0, below: int = 0,
    generator: torch.Generator | None = None, device: torch.device | str = "cpu",
) -> Tensor:  # fmt: skip
    """Levels, (n,) int64: uniform over lowest..highest, a `share` of them over lowest..below.

    Sampling starts from level nl and never visits a higher one, so a small model may spend most of
    its steps there; share=0 is the uniform draw of the paper.
    """
    in_range("model.low_level_share", share, 0.0, 1.0)
    tops = torch.full((n,), highest, dtype=torch.float32)
    if share > 0:
        low = torch.rand(n, generator=generator) < share
        tops = torch.where(low, torch.tensor(float(below)), tops)
    drawn = lowest + torch.floor(torch.rand(n, generator=generator) * (tops - lowest + 1))
    return drawn.long().to(device)

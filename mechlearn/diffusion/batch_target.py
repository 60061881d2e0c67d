"""The requested tumour sizes and places of one batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mechlearn.diffusion.steps import col

__all__ = ["BatchTarget"]

BOOSTED_ABOVE = 20  # level above which the reference code raises the target


@dataclass(frozen=True)
class BatchTarget:
    """Requested sizes of the members of a batch, with what guidance towards a place needs.

    Attributes:
        fraction: tumour area over brain area, (B,).
        brain: (1, 1, H, W), 0 or 1.
        initial: tumour fraction of the reference image; None where it is not known.
        order: fraction at which each pixel joins the tumour, (1, 1, H, W); for `placed`.
        tissue: the reference without its tumour, (1, C, H, W); None where no tumour retreats.
    """

    fraction: Tensor
    brain: Tensor
    initial: float | None = None
    order: Tensor | None = None
    tissue: Tensor | None = None

    def boosted(self, level: int, boost: float) -> Tensor:
        """(1 + boost) times the requested fraction above level 20, else the fraction; (B,)."""
        return self.fraction * (1 + boost * (level > BOOSTED_ABOVE))

    def mask(self, fraction: Tensor) -> Tensor:
        """Tumour mask of a given size in the arrival order, (B, 1, H, W), 0 or 1."""
        assert self.order is not None
        return (self.order <= col(fraction)).to(self.brain) * self.brain

    def present(self) -> Tensor:
        """Tumour mask of the reference, (B, 1, H, W), 0 or 1."""
        return self.mask(torch.full_like(self.fraction, self.initial or 0.0))

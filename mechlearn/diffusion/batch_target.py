"""Target tumour sizes of one batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["BatchTarget"]

BOOSTED_ABOVE = 20  # level above which the reference code raises the target


@dataclass(frozen=True)
class BatchTarget:
    """Target sizes of the members of a batch.

    Attributes:
        fraction: tumour area over brain area, (B,).
        brain: (1, 1, H, W), 0 or 1.
    """

    fraction: Tensor
    brain: Tensor

    def boosted(self, level: int, boost: float) -> Tensor:
        """(1 + boost) times the target fraction above level 20, otherwise the fraction; (B,)."""
        return self.fraction * (1 + boost * (level > BOOSTED_ABOVE))

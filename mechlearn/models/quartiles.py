"""Mean losses in four equal ranges of the noise levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = ["Quartiles"]


class Quartiles:
    """Sums of losses in four equal ranges of the levels 0..L, between two lines of the log.

    Args:
        levels: L.
        of: name of the losses in the log.
    """

    def __init__(self, levels: int, *, of: str = "loss") -> None:
        self.levels, self.of = levels, of
        self._sums = torch.zeros(2, 4)  # sums and numbers of losses

    def add(self, l: Tensor, losses: Tensor) -> None:
        """Losses, (B,), at levels l, (B,)."""
        self._sums = self._sums.to(losses.device)
        quarter = ((l - 1).clamp_min(0) * 4 // self.levels).clamp_max(3)
        self._sums[0].index_add_(0, quarter, losses)
        self._sums[1].index_add_(0, quarter, torch.ones_like(losses))

    def take(self) -> Tensor:
        """The sums, (2, 4); resets them to zero."""
        taken, self._sums = self._sums, torch.zeros_like(self._sums)
        return taken

    @staticmethod
    def means(sums: Tensor) -> Iterator[tuple[str, Tensor]]:
        """(q1 .. q4, mean loss) of the ranges with losses, from low to high levels."""
        for number, (total, count) in enumerate(sums.T.unbind(), 1):
            if count > 0:
                yield f"q{number}", total / count

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"sums": self._sums.cpu().clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._sums = state["sums"].clone()

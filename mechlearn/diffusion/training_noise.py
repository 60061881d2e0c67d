"""Noise and noise level of each training image, functions of (seed, draw).

They do not depend on the batch, on the number of processes, or on interruptions of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import in_range

__all__ = ["ImportanceLevels", "LevelSampler", "UniformLevels", "noise_of"]

NOISE, LEVEL = 1, 2  # random streams of a draw


def noise_of(
    draws: Sequence[int], shape: Sequence[int], *, seed: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal noise, (B, *shape) float32, one random stream a draw.

    CPU and GPU give different numbers.
    """
    generator = torch.Generator(device)
    epsilon = torch.empty((len(draws), *shape), device=device)
    for row, draw in zip(epsilon, draws, strict=True):
        generator.manual_seed(_stream(seed, NOISE, draw))
        row.normal_(generator=generator)
    return epsilon


def _stream(seed: int, purpose: int, draw: int) -> int:
    state = np.random.SeedSequence([seed, purpose, draw]).generate_state(1, np.uint64)
    return int(state[0] >> 1)


def _uniforms(draws: Sequence[int], *, seed: int) -> np.ndarray:
    """Two uniform random numbers in [0, 1) for each draw, (B, 2)."""
    words = [np.random.SeedSequence([seed, LEVEL, d]).generate_state(2, np.uint64) for d in draws]
    return np.asarray(words) / 2.0**64


class UniformLevels:
    """Uniform levels over lowest..highest, a `share` of them over lowest..below.

    Sampling starts at level nl, so training of a small model can focus on lower levels; share=0 is
    the uniform distribution of the paper.
    """

    def __init__(self, lowest: int, highest: int, *, share: float = 0.0, below: int = 0) -> None:
        in_range("model.low_level_share", share, 0.0, 1.0)
        if share > 0:
            in_range("model.low_level", below, lowest, highest)
        self.lowest, self.highest, self.share, self.below = lowest, highest, share, below

    def draw(
        self, draws: Sequence[int], *, seed: int, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Levels, (B,) int64, and weights of the loss, (B,) float32, all 1."""
        kind, at = _uniforms(draws, seed=seed).T
        tops = np.where(kind < self.share, self.below, self.highest)
        levels = self.lowest + np.floor(at * (tops - self.lowest + 1)).astype(np.int64)
        l = torch.from_numpy(np.minimum(levels, tops)).to(device, non_blocking=True)
        return l, torch.ones(len(draws), device=device)

    def update(self, l: Tensor, losses: Tensor) -> None:
        """Does nothing: uniform levels do not depend on losses."""

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: empty."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""


class ImportanceLevels:
    """Levels with probability p proportional to sqrt(E[loss^2]) and weight 1 / (L p) in the loss,
    which does not change the expected loss (Nichol & Dhariwal 2021, section 3.3).

    E[loss^2] is the mean over the last `history` losses of a level. Until every level has this
    number of losses, levels are uniform. A share `uniform` of the probability is always uniform.
    """

    def __init__(
        self, lowest: int, highest: int, *, history: int = 10, uniform: float = 0.001
    ) -> None:
        self.lowest, self.uniform = lowest, uniform
        self.losses = torch.zeros(highest - lowest + 1, history)
        self.seen = torch.zeros(highest - lowest + 1, dtype=torch.long)

    def probabilities(self) -> Tensor:
        """p of each level, (L,) float32."""
        n, history = self.losses.shape
        spread = torch.full((n,), 1 / n, device=self.losses.device)
        weights = self.losses.square().mean(1).sqrt()
        learned = weights / weights.sum().clamp_min(1e-30) * (1 - self.uniform)
        # Computed on the device, because a condition in Python would synchronise the GPU.
        return torch.where((self.seen >= history).all(), learned + self.uniform * spread, spread)

    def draw(
        self, draws: Sequence[int], *, seed: int, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Levels, (B,) int64, and weights of the loss, (B,) float32."""
        self.losses, self.seen = self.losses.to(device), self.seen.to(device)
        p = self.probabilities()
        at = torch.from_numpy(_uniforms(draws, seed=seed)[:, 1].astype(np.float32)).to(device)
        index = torch.searchsorted(p.cumsum(0), at, right=True).clamp_max(len(p) - 1)
        return index + self.lowest, 1 / (len(p) * p[index])

    def update(self, l: Tensor, losses: Tensor) -> None:
        """Store the levels (N,) and losses (N,) of a step, of all processes, in this order."""
        self.losses, self.seen = self.losses.to(l.device), self.seen.to(l.device)
        index = l - self.lowest
        history = self.losses.shape[1]
        # A level with k losses in this step takes k places, oldest first.
        rank = (index[None] == index[:, None]).tril(-1).sum(1)
        place = (self.seen[index] + rank) % history
        self.losses[index, place] = losses.float()
        self.seen.index_add_(0, index, torch.ones_like(index))

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"losses": self.losses.cpu(), "seen": self.seen.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.losses, self.seen = state["losses"].clone(), state["seen"].clone()


LevelSampler = UniformLevels | ImportanceLevels

"""Noise schedules: the share of signal at each noise level."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import in_range, one_of

__all__ = ["NoiseSchedule"]


@dataclass(frozen=True)
class NoiseSchedule:
    """Levels 0..L: level 0 is the clean image, level L nearly pure noise.

    `linear` is that of Ho et al. 2020 (1e-4..0.02 over L = 1000, rescaled for another L);
    `cosine` that of Nichol & Dhariwal 2021, eq. (17).
    """

    kind: str = "linear"
    levels: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02

    def __post_init__(self) -> None:
        one_of("schedule.kind", self.kind, ("linear", "cosine"))
        in_range("schedule.levels", self.levels, 2, 100_000)
        in_range("schedule.beta_start", self.beta_start, 0.0, self.beta_end)
        in_range("schedule.beta_end", self.beta_end, self.beta_start, 1.0)

    @cached_property
    def _tables(self) -> dict[str, Tensor]:
        """float64 tables over l = 0..L; index 0 of the betas is unused (0)."""
        if self.kind == "linear":
            ratio = 1000 / self.levels
            top = min(ratio * self.beta_end, 0.999)
            betas = np.linspace(ratio * self.beta_start, top, self.levels)
        else:
            def f(u: float) -> float:
                return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

            steps = [f(l / self.levels) for l in range(self.levels + 1)]
            pairs = zip(steps, steps[1:], strict=False)
            betas = np.array([min(1 - b / a, 0.999) for a, b in pairs])
        beta = torch.tensor(np.concatenate([[0.0], betas]), dtype=torch.float64)
        alpha_bar = torch.cumprod(1 - beta, 0)
        previous = torch.cat([alpha_bar.new_ones(1), alpha_bar[:-1]])
        variance = torch.zeros_like(beta)  # beta tilde, the posterior variance
        variance[1:] = beta[1:] * (1 - previous[1:]) / (1 - alpha_bar[1:])
        variance[1] = variance[2]  # 0 at level 1: clipped as in Nichol & Dhariwal
        variance[0] = variance[2]
        return {"beta": beta, "alpha_bar": alpha_bar, "posterior_variance": variance}

    @cached_property
    def _cache(self) -> dict[tuple[str, torch.device], Tensor]:
        """float32 tables by name and device."""
        return {}

    def _at(self, table: str, l: Tensor | int) -> Tensor:
        index = torch.as_tensor(l)
        # Only on a CPU: on a GPU the check would synchronise, and a wrong index is an error anyway.
        outside = index.device.type == "cpu" and ((index < 0) | (index > self.levels)).any()
        if outside:
            raise ValueError(f"noise level {index.tolist()}: must lie between 0 and {self.levels}.")
        key = (table, index.device)
        if key not in self._cache:
            self._cache[key] = self._tables[table].float().to(index.device)
        return self._cache[key][index]

    def alpha_bar(self, l: Tensor | int) -> Tensor:
        """Cumulative signal at level(s) l in 0..L, float32, 1 at l = 0."""
        return self._at("alpha_bar", l)

    def beta(self, l: Tensor | int) -> Tensor:
        """Noise variance added at level(s) l in 1..L, float32."""
        return self._at("beta", l)

    def posterior_variance(self, l: Tensor | int) -> Tensor:
        """Variance of q(x_{l-1} | x_l, x0) at l in 1..L; at l = 1 it is that of l = 2."""
        return self._at("posterior_variance", l)

    def as_dict(self) -> dict[str, Any]:
        """Builtin values, for the card of a checkpoint."""
        return asdict(self)

"""Encoding of the reference image to a noise level, with the predictions at all levels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import overload

import torch
from torch import Tensor

from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.solver import Solver
from mechlearn.diffusion.steps import add_noise, clipped_epsilon

__all__ = ["Encoding", "invert", "noise"]


class Encoding:
    """A reference image at every visited level: x[k], (1 or B, C, H, W), at levels[k].

    `epsilons` holds predictions of the inversion; other predictions are computed on demand and
    cached, once for all members that share the encoding.
    """

    def __init__(
        self,
        x: Sequence[Tensor],
        levels: Sequence[int],
        models: Evaluator,
        *,
        solver: str,
        epsilons: dict[int, Tensor] | None = None,
    ) -> None:
        self.x, self.levels, self.models, self.solver = x, list(levels), models, solver
        self._epsilons = dict(epsilons or {})
        self._defects: dict[int, Tensor] = {}

    def epsilon(self, k: int) -> Tensor:
        """Predicted noise of x[k], k > 0."""
        if k not in self._epsilons:
            self._epsilons[k] = self.models.epsilon(self.x[k], self.levels[k])
        return self._epsilons[k]

    def defect(self, k: int, *, clip: bool = False) -> Tensor:
        """x[k - 1] minus the result of an unguided step from x[k]; clip: with a clipped x0."""
        if not self._defects:
            solver = Solver(self.solver, self.models)
            for j in range(len(self.x) - 1, 0, -1):
                x, epsilon, l = self.x[j], self.epsilon(j), self.levels[j]
                if clip:
                    epsilon = clipped_epsilon(x, epsilon, alpha_bar=self.models.alpha_bar(l))
                reached = solver.step(x, epsilon, l, self.levels[j - 1])
                self._defects[j] = self.x[j - 1] - reached
        return self._defects[k]


def invert(
    x0: Tensor, levels: Sequence[int], models: Evaluator, *, solver: str, iterations: int
) -> Encoding:
    """DDIM inversion of x0, (1, C, H, W), through `levels`, ascending from 0.

    Args:
        x0: reference image.
        levels: visited levels.
        models: denoiser.
        solver: `ddim` or `dpmpp_2m`.
        iterations: 0 uses the noise predicted at the start of a step, as MONAI's `reversed_step`;
            k > 0 solves for the point from which a denoising step leads back, by k fixed-point
            iterations with the noise predicted at the end of the step.
    """
    x, path, epsilons = x0, [x0], {}
    engine = Solver(solver, models)
    for k, (l, l_to) in enumerate(pairwise(levels)):
        if iterations == 0:
            # The denoiser has no level 0: a clean image gets the level of the step's end.
            epsilon = models.epsilon(x, l if l > 0 else l_to)
            if l > 0:
                epsilons[k] = epsilon
            x = engine.step(x, epsilon, l, l_to)
        else:
            guess = x
            for _ in range(iterations):
                guess = Solver("ddim", models).step(x, models.epsilon(guess, l_to), l, l_to)
            x = guess
        path.append(x)
    return Encoding(path, levels, models, solver=solver, epsilons=epsilons)


def noise(
    x0: Tensor, levels: Sequence[int], models: Evaluator, *, solver: str, seeds: Sequence[int]
) -> Encoding:
    """x0, (1, C, H, W), with forward noise: for every member one noise for all levels."""
    drawn = [torch.randn(x0.shape[1:], generator=torch.Generator().manual_seed(s)) for s in seeds]
    epsilon = torch.stack(drawn).to(x0)
    return Encoding(_Noised(x0, epsilon, levels, models), levels, models, solver=solver)


class _Noised(Sequence[Tensor]):
    """x0 with one noise at every level, computed on demand to save memory."""

    def __init__(
        self, x0: Tensor, epsilon: Tensor, levels: Sequence[int], models: Evaluator
    ) -> None:
        self._made_of, self._models, self._levels = (x0, epsilon), models, list(levels)

    def __len__(self) -> int:
        return len(self._levels)

    @overload
    def __getitem__(self, k: int) -> Tensor: ...
    @overload
    def __getitem__(self, k: slice) -> list[Tensor]: ...
    def __getitem__(self, k: int | slice) -> Tensor | list[Tensor]:
        if isinstance(k, slice):
            return [self[i] for i in range(len(self))[k]]
        x0, epsilon = self._made_of
        return add_noise(x0, epsilon, alpha_bar=self._models.alpha_bar(self._levels[k]))

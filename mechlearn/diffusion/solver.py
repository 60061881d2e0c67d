"""One pass over the levels, up or down, by DDIM or by DPM-Solver++(2M)."""

from __future__ import annotations

from torch import Tensor

from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.steps import ORDERS, ddim_step, predict_x0, second_order

__all__ = ["Solver"]


class Solver:
    """Steps from level to level; with second order it stores x0 of the previous step."""

    def __init__(self, name: str, models: Evaluator) -> None:
        self.order, self.models = ORDERS[name], models
        self._before: tuple[Tensor, int] | None = None

    def step(self, x: Tensor, epsilon: Tensor, l: int, l_to: int) -> Tensor:
        """x at l_to, (B, C, H, W), from x and epsilon at l."""
        alpha_bar, alpha_bar_to = self.models.alpha_bar(l), self.models.alpha_bar(l_to)
        out = ddim_step(x, epsilon, alpha_bar=alpha_bar, alpha_bar_to=alpha_bar_to)
        if self.order == 1:
            return out
        x0 = predict_x0(x, epsilon, alpha_bar=alpha_bar)
        if self._before is not None:
            x0_before, l_before = self._before
            out = out + second_order(
                x0, x0_before, alpha_bar_before=self.models.alpha_bar(l_before),
                alpha_bar=alpha_bar, alpha_bar_to=alpha_bar_to,
            )  # fmt: skip
        self._before = (x0, l)
        return out

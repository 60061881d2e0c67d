"""What guidance adds to the predicted noise at each level, for every way of asking.

`paper` is eq. (2). With `gap` the remaining gap alone sets the size of a step, the gradient only
its direction: for a size (`where=image`) the step closes, to first order, its share of the gap;
for a mask (`where=order`) it moves the predicted x0 of each pixel by its own gap. A pixel that has
arrived is left alone, so nothing grows brighter without end. Where a tumour retreats the way is
known: to the tissue around. A segmenter is content half way there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mechlearn.diffusion.encoding import Encoding
from mechlearn.diffusion.evaluator import Evaluator
from mechlearn.diffusion.guidance import guided_epsilon, smooth_gradient
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.steps import col, predict_x0

__all__ = ["Goal", "Pull"]

BOOSTED_ABOVE = 20  # target_boost of the reference code
REFERENCE_SCALE = 50_000.0
FAINT = 0.25


@dataclass(frozen=True)
class Goal:
    """What the members of a batch are asked for.

    Attributes:
        fraction: tumour area over brain area, (B,).
        initial: that of the reference image; None where it is not known.
        order: fraction at which each pixel joins the tumour, (1, 1, H, W); for `where=order`.
        tissue: the reference without its tumour, (1, C, H, W); None where nothing retreats.
        brain: (1, 1, H, W), 0 or 1.
    """

    fraction: Tensor
    brain: Tensor
    initial: float | None = None
    order: Tensor | None = None
    tissue: Tensor | None = None

    def mask(self, fraction: Tensor) -> Tensor:
        """The tumour of a given size in the order of growth, (B, 1, H, W), 0 or 1."""
        assert self.order is not None
        return (self.order <= col(fraction)).to(self.brain) * self.brain

    def present(self) -> Tensor:
        """The tumour of the reference, (B, 1, H, W), 0 or 1."""
        return self.mask(torch.full_like(self.fraction, self.initial or 0.0))


class Pull:
    """The shift of epsilon over one pass down the levels."""

    def __init__(
        self, models: Evaluator, spec: SamplerSpec, goal: Goal, encoding: Encoding, scale: float
    ) -> None:
        self.models, self.spec, self.goal, self.encoding = models, spec, goal, encoding
        self.scale = scale
        if spec.where == "order":
            # Bayes' rule weighs the log-likelihood of a mask, a sum over pixels, by one.
            self.scale = spec.scale_value / REFERENCE_SCALE * float(goal.brain.sum())
        self.guided = [l for l in encoding.levels if l > spec.guide_above and l > 0]
        self._held: tuple[Tensor, Tensor] | None = None
        self._left = 1
        self._reached = torch.zeros_like(goal.fraction, dtype=torch.bool)

    def __call__(self, k: int, x: Tensor, epsilon: Tensor) -> Tensor:
        """Guided epsilon, (B, C, H, W), at the k-th level."""
        l = self.encoding.levels[k]
        if self.scale == 0 or l not in self.guided:
            return epsilon
        if bool(self._reached.all()):
            return epsilon
        turn = len(self.guided) - 1 - self.guided.index(l)
        if self._held is None or turn % self.spec.guide_every == 0:
            aim = self._aim_at_mask if self.spec.where == "order" else self._aim_at_size
            self._held = aim(k, x, epsilon)
            self._left = self.guided.index(l) + 1  # steps to close the gap in, as it was read
        scale, direction = self._held
        if self.spec.guidance == "gap":
            scale = scale * self._gap_scale(k)
        scale = torch.where(self._reached, 0.0, scale)
        alpha_bar = self.models.alpha_bar(l)
        return guided_epsilon(epsilon, direction, alpha_bar=alpha_bar, scale=scale)

    def _aim_at_size(self, k: int, x: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor]:
        """s_R, (B,), and the direction, (B, C, H, W); under `gap`, how far along the direction
        the gap closes in place of s_R."""
        spec, goal = self.spec, self.goal
        at, level = self._seen(k, x, epsilon)
        reading, gradient = self.models.fraction_gradient(at, level, goal.brain)
        gap = self._wanted_size(k) - reading
        self._stop_those_within(gap)
        gradient = self._in_x(k, gradient)
        direction = smooth_gradient(gradient, spec.smooth_px)
        if spec.guidance == "gap":  # a step along the direction changes R by their product
            scale = gap / (gradient * direction).sum((1, 2, 3)).clamp_min(1e-30)
        else:
            scale = self.scale * (gap if spec.dynamic else torch.ones_like(gap))
        return scale.to(x.dtype), direction.to(x.dtype)

    def _aim_at_mask(self, k: int, x: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor]:
        """As `_aim_at_size`; each pixel's gap is in the direction already, the scale is one."""
        spec, goal = self.spec, self.goal
        at, level = self._seen(k, x, epsilon)
        wanted = self._wanted_mask(k)
        mask, gradient = self.models.mask_gradient(at, level, goal.brain, wanted)
        gap = (wanted - mask) * goal.brain
        self._stop_those_within(gap.sum((1, 2, 3)) / goal.brain.sum())
        gradient = smooth_gradient(self._in_x(k, gradient), spec.smooth_px)
        scale = torch.full_like(goal.fraction, self.scale)
        if spec.guidance == "gap":
            gradient = _unit(gradient) * smooth_gradient(gap.abs(), spec.smooth_px)
            gradient = self._or_to_tissue(k, x, epsilon, gradient)
            scale = torch.ones_like(scale)
        return scale.to(x.dtype), gradient.to(x.dtype)

    def _or_to_tissue(self, k: int, x: Tensor, epsilon: Tensor, way: Tensor) -> Tensor:
        """The way of the predicted x0, (B, C, H, W): where tumour is to go, all that is left."""
        goal = self.goal
        if goal.tissue is None:
            return way
        leaving = goal.present() * (1 - goal.mask(self._boosted(k)))
        leaving = smooth_gradient(leaving, self.spec.smooth_px)
        x0 = predict_x0(x, epsilon, alpha_bar=self.models.alpha_bar(self.encoding.levels[k]))
        beyond = max(self.spec.scale_value / REFERENCE_SCALE, 1.0)  # a larger scale oversteps
        return way * (1 - leaving) + (goal.tissue - x0) / beyond * leaving

    def _seen(self, k: int, x: Tensor, epsilon: Tensor) -> tuple[Tensor, int]:
        """What the guide is shown, and its level."""
        l = self.encoding.levels[k]
        if self.spec.guide_on == "noisy":
            return x, l
        return predict_x0(x, epsilon, alpha_bar=self.models.alpha_bar(l)), 0

    def _in_x(self, k: int, gradient: Tensor) -> Tensor:
        """In x_l, epsilon held: x0 = (x_l - sqrt(1 - alpha_bar) epsilon) / sqrt(alpha_bar)."""
        if self.spec.guide_on == "noisy":
            return gradient
        return gradient / self.models.alpha_bar(self.encoding.levels[k]).sqrt()

    def _stop_those_within(self, gap: Tensor) -> None:
        if self.spec.stop_within > 0:
            self._reached |= gap.abs() <= self.spec.stop_within * self.goal.fraction

    def _boosted(self, k: int) -> Tensor:
        boost = self.spec.target_boost * (self.encoding.levels[k] > BOOSTED_ABOVE)
        return self.goal.fraction * (1 + boost)

    def _wanted_size(self, k: int) -> Tensor:
        """The reading that is aimed at, (B,)."""
        if self.spec.reading == "absolute":
            return self._boosted(k)
        reading = self._reference(k, pixels=False)
        initial = reading if self.goal.initial is None else self.goal.initial
        return self._boosted(k) + (reading - initial)

    def _wanted_mask(self, k: int) -> Tensor:
        """The mask that is aimed at, (B, 1, H, W)."""
        fraction = self._boosted(k)
        wanted = self.goal.mask(fraction)
        if self.spec.reading == "absolute":
            return wanted
        return (self._reference(k, pixels=True) + wanted - self.goal.present()).clamp(0, 1)

    def _reference(self, k: int, *, pixels: bool) -> Tensor:
        clean = self.spec.guide_on == "clean"
        return self.encoding.reading(k, self.goal.brain, pixels=pixels, clean=clean)

    def _gap_scale(self, k: int) -> Tensor:
        """What turns the way to go into s_R, a scalar.

        A shift of epsilon by s sqrt(1 - a) d moves the predicted x0 by s (1 - a) / sqrt(a) d, and
        x at the next level by s c d, c = sqrt(1 - a) (sqrt(1 - a) sqrt(a_to / a) - sqrt(1 - a_to)).
        """
        l, l_to = self.encoding.levels[k], self.encoding.levels[k - 1]
        a, a_to = self.models.alpha_bar(l), self.models.alpha_bar(l_to)
        strength = self.spec.scale_value / REFERENCE_SCALE
        if self.spec.where == "order":
            return strength * a.sqrt() / (1 - a)
        reach = (1 - a).sqrt() * ((1 - a).sqrt() * (a_to / a).sqrt() - (1 - a_to).sqrt())
        return strength / (self._left * reach)


def _unit(gradient: Tensor) -> Tensor:
    """The direction of each pixel's gradient over contrasts, (B, C, H, W).

    Shorter where the gradient is faint beside the steepest: there it is largely rounding, which
    other threads do otherwise (without it images differ by 2e-3 between one thread and two).
    """
    length = gradient.square().sum(1, keepdim=True).sqrt()
    steepest = length.flatten(1).amax(1)
    return gradient / (length + FAINT * col(steepest) + 1e-30)

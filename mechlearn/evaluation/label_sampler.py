"""Sizes asked of a slice, drawn under label maps: `sampler=labels` in place of a guided sampler."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mechlearn.diffusion.label_sampling import LabelSamplingSpec
from mechlearn.diffusion.sampler import SamplerSpec, member_seed
from mechlearn.evaluation.scan_drawing import draw_slices, growing_room
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.records import AxialSlice, Generation, GuidanceTarget
from mechlearn.spatial.arrival_order import order_from

__all__ = ["LabelSampler"]


class LabelSampler:
    """Draws the mask that the tumour fills at each asked size, by an order of likely growth.

    Args:
        drawer: of `scan_drawing.load_drawer`. guide: reads the tumour fraction, nothing else.
        spec: `nl` is the level a first guess is encoded to, `steps`, `solver`, `spacing`,
            `precision` and `order` are as elsewhere; the rest belongs to guidance and is not used.
    """

    def __init__(self, drawer: LoadedModel, guide: LoadedModel, spec: SamplerSpec) -> None:
        self.drawer, self.guide, self.spec = drawer, guide, spec
        self.effective_scale = 0.0
        self.labels = LabelSamplingSpec(
            level=spec.nl, steps=spec.steps or spec.nl, solver=spec.solver, spacing=spec.spacing,
            precision=spec.precision,
        )

    def draw(
        self, reference: AxialSlice, targets: Sequence[GuidanceTarget], *, seed: int
    ) -> list[Generation]:
        """One generation a target, in their order; equal targets give equal pictures.

        Raises:
            ValueError: no tumour in the slice, or another grid than the models'.
        """
        if not targets:
            return []
        order = order_from(self.spec.order, reference)
        room = growing_room(reference)
        masks = [_filled(order, room, t.tumour_fraction * reference.brain.sum()) for t in targets]
        drawn = draw_slices(reference, masks, model=self.drawer, seed=seed, spec=self.labels)
        images = torch.from_numpy(np.stack([reference.image, *(d.image for d in drawn)]))
        brain = torch.from_numpy(reference.brain).float()[None, None]
        level = torch.zeros(1, dtype=torch.long)
        with torch.no_grad():
            read = [float(self.guide.module.fraction(x[None], level, brain))  # type: ignore[operator]
                    for x in images]
        return [
            Generation(
                image.clone(), target, read[0], after, self.spec.nl, self.spec.scale_value,
                self.effective_scale, member_seed(seed, reference.slice_id, 0),
            )
            for image, target, after in zip(images[1:], targets, read[1:], strict=True)
        ]  # fmt: skip

    def sample(self, *args: object, **options: object) -> list[Generation]:
        """Not without the slice's labels: `draw` takes them."""
        raise TypeError("sampler=labels draws slices with labels; call draw(reference, targets).")

    def reconstruct(
        self, x0: Tensor, *, brain: Tensor, seed: int = 0, slice_id: str = ""
    ) -> Tensor:
        """The scan: where no label changes nothing is drawn."""
        return x0.clone()


def _filled(order: np.ndarray, room: np.ndarray, area_px: float) -> np.ndarray:
    """The pixels with room that join first, (H, W) bool, `area_px` of them."""
    joins = np.sort(order[room])
    count = min(round(area_px), joins.size)
    return room & (order <= joins[count - 1]) if count else np.zeros_like(room)

"""Sampler with label maps (`sampler=labels`): generates a slice at target sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mechlearn.diffusion.label_sampling import LabelSamplingSpec
from mechlearn.diffusion.sampler import SamplerSpec, member_seed
from mechlearn.evaluation.scan_drawing import DrawnSlice, draw_slices
from mechlearn.evaluation.slice_guess import growing_room
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.records import AxialSlice, Generation, GuidanceTarget
from mechlearn.spatial.arrival_order import order_from
from mechlearn.spatial.flair_threshold import FlairThreshold

__all__ = ["LabelSampler"]


class LabelSampler:
    """Generates slices whose tumour fills the mask at the target size, by an arrival order.

    Args:
        drawer: from `scan_drawing.load_drawer`. guide: predicts tumour fractions of the results.
        spec: `nl` is the noise level of the encoded first guess, `scale` the weight of the labels;
            `steps`, `solver`, `precision`, `order` and `mass_effect` are used; other settings are
            not.
        corrections: number of size corrections: the size is measured by FLAIR threshold, the mask
            corrected by the difference, and the slice generated again. The edge of a generated
            tumour is faint, so the threshold measures too small sizes; one correction lowers the
            median size error on validation phantoms from 7% to 1%.
        most_corrected: largest correction of the mask's area, as a share of the target area.
    """

    def __init__(
        self, drawer: LoadedModel, guide: LoadedModel, spec: SamplerSpec, *, corrections: int = 1,
        most_corrected: float = 0.25,
    ) -> None:  # fmt: skip
        self.drawer, self.guide, self.spec = drawer, guide, spec
        self.corrections, self.most_corrected = corrections, most_corrected
        self.effective_scale = spec.strength
        self.labels = LabelSamplingSpec(
            level=spec.nl, steps=spec.steps or spec.nl, solver=spec.solver,
            label_weight=spec.strength, precision=spec.precision, mass_effect=spec.mass_effect,
        )

    def draw(
        self, reference: AxialSlice, targets: Sequence[GuidanceTarget], *, seed: int
    ) -> list[Generation]:
        """One generation for every target, in their order; equal targets give equal images.

        Raises:
            ValueError: no tumour in the slice, or another grid than that of the models.
        """
        if not targets:
            return []
        drawn = self._drawn(reference, [t.tumour_fraction for t in targets], seed)
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

    def _drawn(
        self, reference: AxialSlice, wanted: Sequence[float], seed: int
    ) -> list[DrawnSlice]:
        """Images with measured tumour fractions near the target fractions."""
        order, room = order_from(self.spec.order, reference), growing_room(reference)
        pixels = float(reference.brain.sum())

        def draw(outlines: np.ndarray) -> list[DrawnSlice]:
            masks = [_filled(order, room, f * pixels) for f in outlines]
            return draw_slices(reference, masks, model=self.drawer, seed=seed, spec=self.labels)

        target = np.asarray(wanted, float)
        outlines, drawn = target, draw(target)
        if "t2f" not in reference.contrasts:
            return drawn
        flair = FlairThreshold.fit(
            reference.image, reference.tumour, reference.brain, contrasts=reference.contrasts,
            pixel_mm=reference.spacing_mm[0],
        )  # fmt: skip
        if not flair.reference_fraction:
            return drawn
        per_measured = reference.tumour_fraction / flair.reference_fraction
        for _ in range(self.corrections):
            found = per_measured * np.array([flair.fraction(d.image) for d in drawn])
            most = self.most_corrected * target
            outlines = np.clip(outlines + target - found, target - most, target + most)
            drawn = draw(outlines)
        return drawn

    def sample(self, *args: object, **options: object) -> list[Generation]:
        """Not supported, because the slice's labels are needed: use `draw`."""
        raise TypeError("sampler=labels draws slices with labels; call draw(reference, targets).")

    def reconstruct(
        self, x0: Tensor, *, brain: Tensor, seed: int = 0, slice_id: str = ""
    ) -> Tensor:
        """The scan: without a change of labels the image does not change."""
        return x0.clone()


def _filled(order: np.ndarray, room: np.ndarray, area_px: float) -> np.ndarray:
    """The first `area_px` pixels of the order that lie in `room`, (H, W) bool."""
    joins = np.sort(order[room])
    count = min(round(area_px), joins.size)
    return room & (order <= joins[count - 1]) if count else np.zeros_like(room)

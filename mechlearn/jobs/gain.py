"""The gain of a guide: what makes `sampler.scale` mean the same for every guide and grid.

R may be steep or flat in the image; eq. (2) multiplies its slope by s_ct. The gain is measured on
validation slices so that 50k, the paper's choice, is the smallest scale at which guided growth,
measured from the image, has closed most of the gap to its target.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mechlearn.diffusion.sampler import GuidedSampler, SamplerSpec
from mechlearn.jobs.models import meter_of
from mechlearn.records import AxialSlice, GuidanceTarget
from mechlearn.training.checkpoints import LoadedModel, build_sampler

__all__ = ["GainResult", "measure_gain"]

log = logging.getLogger(__name__)
REFERENCE_SCALE = 50_000.0
LADDER = tuple(float(s) for s in np.geomspace(1e3, 3e8, 18))  # s_ct on a 1 mm grid, gain 1


@dataclass(frozen=True)
class GainResult:
    """gain, and what was seen: scales (K,), measured response and the guide's own word (K,).

    A response is the share of the requested growth that was achieved, median over slices.
    """

    gain: float
    scales: tuple[float, ...]
    measured: tuple[float, ...]
    claimed: tuple[float, ...]
    n_slices: int


def _crossing(scales: Sequence[float], response: Sequence[float], level: float) -> float:
    """Smallest scale with response >= level, interpolated in log(scale)."""
    first = next(i for i, r in enumerate(response) if r >= level)
    if first == 0:
        return scales[0]
    low, high = response[first - 1], response[first]
    share = (level - low) / max(high - low, 1e-9)
    return float(scales[first - 1] * (scales[first] / scales[first - 1]) ** share)


def measure_gain(
    denoiser: LoadedModel,
    guide: LoadedModel,
    slices: Sequence[AxialSlice],
    *,
    spec: SamplerSpec,
    multiple: float = 1.5,
    closed: float = 0.8,
    device: str = "cpu",
) -> GainResult:
    """Climb a ladder of scales on validation slices until the response has saturated.

    Args:
        slices: validation slices with a tumour. multiple: target over initial size.
        closed: share of its best response that counts as "about right".

    Raises:
        ValueError: the guide never makes tumours grow: the gain is undefined.
    """
    unit = replace(guide, card={**guide.card, "gain": 1.0})
    measured: list[float] = []
    claimed: list[float] = []
    for scale in LADDER:
        rung = replace(spec, scale=str(scale))
        sampler = build_sampler(denoiser, unit, rung, device=device)
        rows = [_response(sampler, s, multiple) for s in slices]
        seen, said = np.median(np.array(rows), axis=0)
        measured.append(float(seen))
        claimed.append(float(said))
        log.info("scale %.3g: measured growth %.0f%% of the request, guide's word %.0f%%",
                 scale, 100 * seen, 100 * said)
        if len(measured) > 3 and max(measured) > 0.5 and seen < 0.7 * max(measured):
            break  # past its best: the image breaks down
    best = max(measured)
    if best < 0.1:
        raise ValueError(
            f"guide {guide.source}: at no scale up to {LADDER[-1]:g} do tumours grow by a tenth of "
            "what is asked for. Train the guide or the denoiser longer."
        )
    right = _crossing(LADDER, measured, closed * min(best, 1.0))
    return GainResult(right / REFERENCE_SCALE, LADDER[: len(measured)], tuple(measured),
                      tuple(claimed), len(slices))


def _response(sampler: GuidedSampler, item: AxialSlice, multiple: float) -> tuple[float, float]:
    """(measured, claimed) growth over requested growth for one slice."""
    x0, brain = torch.from_numpy(item.image), torch.from_numpy(item.brain)
    meter = meter_of(item)
    before = meter.fraction(item.image)
    gap = (multiple - 1) * before
    target = [GuidanceTarget(min(multiple * item.tumour_fraction, 1.0))]
    (made,) = sampler.sample(x0, target, brain=brain, slice_id=item.slice_id)
    claimed_gap = target[0].tumour_fraction - made.predicted_before
    claimed = (made.predicted_after - made.predicted_before) / claimed_gap if claimed_gap else 0.0
    return (meter.fraction(made.image) - before) / gap, claimed

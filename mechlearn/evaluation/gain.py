"""The gain of a guide: a factor of s_ct that makes `sampler.scale` comparable between guides.

Eq. (2) multiplies the gradient of the guide R by s_ct, and the norm of this gradient depends on
guide and grid. The gain is measured on validation slices: with it, 50k (the paper's scale) is the
smallest scale at which the size measured from the image has closed most of the gap to the target.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import REFERENCE_SCALE, SamplerSpec
from mechlearn.evaluation.case_selection import first_visits
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.model_pair import flair_threshold_of, generate
from mechlearn.evaluation.runner import Evaluation, Scored
from mechlearn.models.checkpoints import LoadedModel, build_sampler, packaged, set_gain
from mechlearn.records import AxialSlice, GuidanceTarget

__all__ = ["EVALUATION", "GainResult", "measure_gain"]

log = logging.getLogger(__name__)
REFINEMENTS = 3  # bisections of a decade on a log scale: to a factor of 1.33
ANSWERS = 0.2  # least response in the guide's prediction, as a share of the requested growth
BREAKS = 1.1  # a larger response in the guide's prediction means a degraded image
LADDER = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)  # s_ct on a 1 mm grid with gain 1


@dataclass(frozen=True)
class GainResult:
    """The gain, and the data behind it: scales (K,), responses (K,) measured from the image and
    claimed by the guide's prediction.

    A response is the achieved share of the requested growth, median over slices.
    """

    gain: float
    scales: tuple[float, ...]
    measured: tuple[float, ...]
    claimed: tuple[float, ...]
    n_slices: int


def _climb(
    respond: Callable[[float], tuple[float, float]], closed: float
) -> list[tuple[float, float, float]]:
    """(scale, measured, claimed) for rising scales, until the response is reached or falls.

    The search also stops after two scales at which the guide's prediction reached its target: at
    larger scales the image degrades.
    """
    seen: list[tuple[float, float, float]] = []
    for scale in LADDER:
        seen.append((scale, *respond(scale)))
        best = max(m for _, m, _ in seen)
        satisfied = all(claimed >= 0.95 for _, _, claimed in seen[-2:]) and len(seen) > 1
        if seen[-1][1] >= closed or satisfied or (best > 0.1 and seen[-1][1] < 0.7 * best):
            break
    return seen


def _best_response(seen: Sequence[tuple[float, float, float]], guide: str) -> float:
    """The largest measured response among images that are not degraded; ValueError for a guide
    that does not control growth."""
    kept = [m for _, m, claimed in seen if claimed <= BREAKS]
    best, word = max(kept, default=0.0), max(claimed for _, _, claimed in seen)
    if best < 0.1:
        raise ValueError(
            f"guide {guide}: up to scale {LADDER[-1]:g} tumours grow by less than a tenth of the "
            "requested growth. Train the guide or the denoiser longer."
        )
    if word < ANSWERS:
        raise ValueError(
            f"guide {guide}: the measured growth is {best:.0%} of the request, but the guide's "
            f"prediction changes by at most {word:.0%} of it, so the guide does not control the "
            "growth. Train the guide longer."
        )
    return best


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
    """Raise the scale on validation slices until tumours grow as requested, then refine it.

    Args:
        denoiser, guide: the pair.
        slices: validation slices with a tumour.
        spec: sampler settings.
        multiple: target size over initial size.
        closed: response to reach; the largest one where none reaches it.
        device: of the models.

    Raises:
        ValueError: tumours do not grow, or the guide's prediction does not respond: the gain is
            undefined.
    """
    unit = replace(guide, card={**guide.card, "gain": 1.0})

    def respond(scale: float) -> tuple[float, float]:
        sampler = build_sampler(denoiser, unit, replace(spec, scale=f"{scale:.6g}"), device=device)
        rows = [_response(sampler, s, multiple) for s in slices]
        measured, claimed = (float(v) for v in np.median(np.array(rows), axis=0))
        log.info("scale %.3g: measured growth %.0f%% of the request, guide's prediction %.0f%%",
                 scale, 100 * measured, 100 * claimed)
        return measured, claimed

    seen = _climb(respond, closed)
    best = _best_response(seen, guide.source)
    level = min(best, closed)
    above = next(i for i, (_, m, c) in enumerate(seen) if m >= level and c <= BREAKS)
    low, high = (seen[above - 1][0] if above else seen[0][0] / 10), seen[above][0]
    for _ in range(REFINEMENTS):
        middle = float(np.sqrt(low * high))
        seen.append((middle, *respond(middle)))
        low, high = (low, middle) if seen[-1][1] >= level else (middle, high)
    scales, measured, claimed = zip(*sorted(seen), strict=True)
    return GainResult(high / REFERENCE_SCALE, scales, measured, claimed, len(slices))


def _response(sampler: GuidedSampler, item: AxialSlice, multiple: float) -> tuple[float, float]:
    """(measured, claimed) growth of one slice, both over the requested growth."""
    flair = flair_threshold_of(item)
    before = flair.fraction(item.image)
    gap = (multiple - 1) * before
    target = [GuidanceTarget(min(multiple * item.tumour_fraction, 1.0))]
    (made,) = generate(sampler, item, target, seed=0)
    claimed_gap = target[0].tumour_fraction - made.predicted_before
    claimed = (made.predicted_after - made.predicted_before) / claimed_gap if claimed_gap else 0.0
    return (flair.fraction(made.image) - before) / gap, claimed


@dataclass(frozen=True)
class GuideSlices:
    """The guide and all slices that its gain is measured on: one case."""

    name: str
    slices: tuple[AxialSlice, ...]
    patient: str = "all"


def _cases(job: Job) -> list[GuideSlices]:
    """The guide with its validation slices, as one case.

    Raises:
        ValueError: packaged or exported weights, which are not rewritten; a sampler without s_ct.
    """
    assert job.models is not None
    source, spec = job.models.guide.source, job.models.sampler.spec
    if not Path(source).is_file() or Path(source) == packaged(job.models.guide.kind):
        raise ValueError(
            f"checkpoints.guide={source}: packaged weights and exported pairs are not rewritten. "
            "Give the checkpoint of the guide whose gain is to be stored in it."
        )
    if spec.guidance != "paper":
        raise ValueError(
            f"sampler.guidance={spec.guidance}: a gain scales s_ct of eq. (2), which this guidance "
            "does not use. Use sampler=fast."
        )
    return [GuideSlices(Path(source).name, tuple(first_visits(job)))]


def _score(job: Job, case: GuideSlices) -> Scored:
    """Measure the gain and store it in the guide's checkpoint."""
    assert job.models is not None
    models, spec = job.models, job.models.sampler.spec
    found = measure_gain(models.denoiser, models.guide, case.slices, spec=spec, device=job.device)
    set_gain(models.guide.source, found.gain, gain_n_slices=found.n_slices,
             gain_sampler=asdict(spec))  # fmt: skip
    log.info("gain %.4g stored in %s", found.gain, models.guide.source)
    rows = [
        {"scale": s, "measured_response": m, "claimed_response": c}
        for s, m, c in zip(found.scales, found.measured, found.claimed, strict=True)
    ]
    about = {"gain": found.gain, "n_slices": found.n_slices,
             "best_measured_response": max(found.measured)}  # fmt: skip
    return Scored(rows, extra=about)


EVALUATION = Evaluation(
    _cases, _score, lambda job, done: {}, table="responses.csv", first=("scale",), resumes=False
)

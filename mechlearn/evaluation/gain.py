"""The gain of a guide: it makes `sampler.scale` mean the same for every guide and grid.

R may be steep or flat in the image; eq. (2) multiplies its slope by s_ct. The gain is measured on
validation slices so that 50k, the paper's choice, is the smallest scale at which guided growth,
measured from the image, has closed most of the gap to its target.
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
REFINEMENTS = 3  # halvings of a decade in log scale: to a factor of 1.33
ANSWERS = 0.2  # of the request, in the reading of a guide that steers
BREAKS = 1.1  # of it: a guide that reads more than was asked for looks at a picture falling apart
LADDER = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)  # s_ct on a 1 mm grid with gain 1: from far too weak


@dataclass(frozen=True)
class GainResult:
    """gain, and its data: scales (K,), measured response and the guide's prediction (K,).

    A response is the share of the requested growth that was achieved, median over slices.
    """

    gain: float
    scales: tuple[float, ...]
    measured: tuple[float, ...]
    claimed: tuple[float, ...]
    n_slices: int


def _climb(
    respond: Callable[[float], tuple[float, float]], closed: float
) -> list[tuple[float, float, float]]:
    """(scale, measured, claimed) up the ladder until the response is there or breaks down.

    Where the guide has been satisfied twice, more scale no longer means more guidance: what is
    measured beyond that is a picture falling apart.
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
    """The largest measured response of a whole picture; ValueError for a guide that does not
    steer growth."""
    kept = [m for _, m, claimed in seen if claimed <= BREAKS]
    best, word = max(kept, default=0.0), max(claimed for _, _, claimed in seen)
    if best < 0.1:
        raise ValueError(
            f"guide {guide}: at no scale up to {LADDER[-1]:g} do tumours grow by a tenth of "
            "what is asked for. Train the guide or the denoiser longer."
        )
    if word < ANSWERS:
        raise ValueError(
            f"guide {guide}: pictures change ({best:.0%} of the request is measured), but its own "
            f"reading answers by {word:.0%} at most; what is measured is no growth that it steers. "
            "Train the guide longer."
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
    """Climb a ladder of scales on validation slices until tumours grow as asked, then refine.

    Args:
        slices: validation slices with a tumour. multiple: target over initial size.
        closed: response that counts as "about right"; the best one where none reaches it.

    Raises:
        ValueError: the guide never makes tumours grow, or does not see that they do: the gain is
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
    """(measured, claimed) growth over requested growth for one slice."""
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
    """The validation slices of the guide.

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
            "does not use. Take sampler=fast."
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

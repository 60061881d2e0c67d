"""One cell of the grid over noise level and regressor scale (section 3.1, Fig. 2).

Generates from a reference slice with a target size: the true size at the next visit for pairs of
visits, or multiples of its size where there is no follow-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mechlearn.evaluation.baseline_comparison import agreement, beside
from mechlearn.evaluation.case_selection import first_visits, visit_pairs
from mechlearn.evaluation.diagnostics import picture_row
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.model_pair import flair_threshold_of, generate, target_of
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.runner import Done, Evaluation, Scored
from mechlearn.evaluation.summary import mean, median
from mechlearn.files import write_arrays
from mechlearn.metrics.distance import summarise_hd95
from mechlearn.records import AxialSlice, Generation, GuidanceTarget
from mechlearn.spatial.arrival_order import mask_at_area, order_from
from mechlearn.spatial.baselines import dilation
from mechlearn.spatial.flair_threshold import FlairThreshold

__all__ = ["EVALUATION", "Example", "GridCase", "load_examples", "multiples_of", "next_visits"]

EXAMPLES = "examples.npz"
IMAGES = ("reference", "generated", "follow_up")
SCALARS = ("slice_id", "ratio_requested", "has_follow_up")
LEAST_REQUEST = 0.1  # of the initial size: `requested_share` of a smaller change is too noisy
MEANS = (
    "ssim_", "size_error_", "dice", "flair_threshold_dice", "drift_outside", "change_inside_share",
    "alteration_", "tumour_change", "hyperintense_fraction",
    "changed_outside_brain_fraction",
)  # fmt: skip
MEDIANS = (
    "ratio_requested", "ratio_achieved", "relative_error", "relative_error_abs", "requested_share",
    "relative_error_no_change_abs", "horizon_days",
)  # fmt: skip


@dataclass(frozen=True)
class GridCase:
    """A reference slice, its target sizes, and the true follow-up where there is one."""

    reference: AxialSlice
    targets: tuple[GuidanceTarget, ...]
    follow_up: AxialSlice | None = None
    n_pictures: int = 0  # generations whose images are kept

    @property
    def slice_id(self) -> str:
        return self.reference.slice_id

    @property
    def patient(self) -> str:
        return self.reference.patient


@dataclass(frozen=True)
class Example:
    """Images of one generation: images (C, H, W) in [-1, 1], masks (H, W).

    `follow_up` and `target_tumour` are the true next scan and its mask; without a next scan, the
    reference and its mask dilated to the target size. `ratio_requested`: target over initial size.
    """

    slice_id: str
    reference: np.ndarray
    generated: np.ndarray
    follow_up: np.ndarray
    brain: np.ndarray
    tumour: np.ndarray
    target_tumour: np.ndarray
    measured: np.ndarray
    ratio_requested: float
    has_follow_up: bool


def next_visits(pairs: Sequence[tuple[AxialSlice, AxialSlice]]) -> list[GridCase]:
    """(reference, follow-up) of the same z -> cases whose target is the true follow-up size."""
    return [GridCase(a, (target_of(a, b),), b) for a, b in pairs]


def multiples_of(slices: Sequence[AxialSlice], factors: Sequence[float]) -> list[GridCase]:
    """Slices -> cases whose targets are multiples of their size; targets above the brain's area
    are left out."""
    return [
        GridCase(s, tuple(GuidanceTarget(f * s.tumour_fraction) for f in factors
                          if f * s.tumour_fraction <= 1.0))
        for s in slices
    ]  # fmt: skip


def cases(job: Job) -> list[GridCase]:
    """Pairs of visits, or the first visits where `task.multiples` is given; the images of the
    first `task.examples` generations are kept."""
    if job.task.multiples:
        found = multiples_of(first_visits(job), job.task.multiples)
    else:
        found = next_visits(visit_pairs(job))
    return with_pictures(found, job.task.examples)


def with_pictures(cases: Sequence[GridCase], count: int) -> list[GridCase]:
    """The same cases; the images of their first `count` generations in total are kept."""
    out = []
    for case in cases:
        n = min(len(case.targets), count)
        out.append(replace(case, n_pictures=n))
        count -= n
    return out


def score(job: Job, case: GridCase) -> Scored:
    """One row a target: similarity to the input, achieved size, agreement with the follow-up.

    Sizes are measured on FLAIR; `_guide_` marks predictions of the guide, and `_no_change`,
    `_dilation` and `_growth_order` mark baselines.

    Raises:
        ValueError: the reference has no tumour.
    """
    flair = flair_threshold_of(case.reference)
    made = generate(job.sampler, case.reference, case.targets, seed=job.seed)
    rows = [_score(case, one, flair, job.sampler.spec.order) for one in made]
    pictures = [_example(case, one, flair) for one in made[: case.n_pictures]]
    return Scored(rows, _packed(pictures) if pictures else {})


def summarise(job: Job, done: Done) -> Row:
    """Means and medians of the cell; writes `examples.npz` for the figures of a sweep."""
    kept = list(done.arrays())
    if kept:
        arrays = {key: np.concatenate([one[key] for one in kept]) for key in kept[0]}
        write_arrays(job.out_dir / EXAMPLES, arrays)
    return {
        "n_pairs": len(done.rows),
        "seconds_per_generation": done.seconds / len(done.rows),
        **_summary(done.rows),
        **_beside_dilation(done.rows),
    }


def _at_size(case: GridCase, made: Generation) -> np.ndarray:
    """The initial mask dilated (or eroded) to the target size."""
    reference = case.reference
    pixels = round(made.target.tumour_fraction * float(reference.brain.sum()))
    return dilation(reference.tumour, reference.brain, pixels, spacing_mm=reference.spacing_mm)


def _score(case: GridCase, made: Generation, flair: FlairThreshold, order: str) -> Row:
    reference, image = case.reference, made.image.numpy()
    wanted = made.target.tumour_fraction
    row: Row = {
        "target_fraction": wanted,
        "initial_fraction": reference.tumour_fraction,
        "flair_threshold_dice": flair.reference_dice,
        **_sizes(reference, image, made, flair),
        **picture_row(reference, image),
    }
    if case.follow_up is not None:
        row["horizon_days"] = case.follow_up.day - reference.day
        masks = _masks(case, made, flair, order)
        row |= agreement(masks, case.follow_up.tumour, reference.spacing_mm)
    return row


def _masks(
    case: GridCase, made: Generation, flair: FlairThreshold, order: str
) -> dict[str, np.ndarray]:
    """Masks of the generation, at its measured size and at the target size, and of the baselines.

    The baseline `growth_order` uses the order of the sampler.
    """
    reference, image = case.reference, made.image.numpy()
    pixels = round(made.target.tumour_fraction * float(reference.brain.sum()))
    return {
        "generation": flair.outline(image),
        "generation_at_size": flair.outline(image, area_px=pixels),
        "no_change": reference.tumour,
        "dilation": _at_size(case, made),
        "growth_order": mask_at_area(order_from(order, reference), pixels),
    }


def _sizes(
    reference: AxialSlice, image: np.ndarray, made: Generation, flair: FlairThreshold
) -> Row:
    """Requested and achieved sizes; ratios are of two FLAIR measurements, so their bias cancels."""
    before, after = flair.fraction(reference.image), flair.fraction(image)
    wanted = made.target.tumour_fraction
    asked = wanted / reference.tumour_fraction
    got = after / before if before > 0 else None
    error = None if got is None or asked <= 0 else got / asked - 1
    share = None
    if got is not None and abs(asked - 1) >= LEAST_REQUEST:
        share = (got - 1) / (asked - 1)
    return {
        "initial_measured_fraction": before,
        "achieved_fraction": after,
        "guide_fraction": made.predicted_after,
        "size_error_fraction": abs(after - wanted),
        "size_error_guide_fraction": abs(made.predicted_after - wanted),
        "size_error_no_change_fraction": abs(before - wanted),
        "ratio_requested": asked,
        "ratio_achieved": got,
        "relative_error": error,
        "relative_error_abs": None if error is None else abs(error),
        "relative_error_no_change_abs": None if asked <= 0 else abs(1 / asked - 1),
        "tumour_change": None if got is None else abs(got - 1),
        "requested_share": share,
    }


def _summary(table: Sequence[Row]) -> Row:
    """Means, and medians of ratios; for HD95 the median with undefined values as the largest."""
    out: Row = {}
    for key in table[0]:
        values = [r.get(key) for r in table]
        if key.startswith("hd95"):
            found = summarise_hd95(values)
            out[key], out[f"n_undefined_{key}"] = found.median_worst_case, found.n_undefined
        elif key in MEDIANS:
            out[key] = median(values)
        elif key.startswith(MEANS):
            out[key] = mean(values)
    return out


def _beside_dilation(table: Sequence[Row]) -> Row:
    """Gains over dilation, with intervals over patients; empty without a follow-up."""
    if "dice_dilation" not in table[0]:
        return {}
    found = beside(table, baseline="dilation")
    names = ("generation", "generation_at_size", "growth_order")
    return {k: v for k, v in found.items() if "_gain" in k and "share" not in k
            and any(f"_{n}_" in k for n in names)}


def _example(case: GridCase, made: Generation, flair: FlairThreshold) -> Example:
    reference, image = case.reference, made.image.numpy()
    target = _at_size(case, made) if case.follow_up is None else case.follow_up.tumour
    return Example(
        reference.slice_id, reference.image, image, (case.follow_up or reference).image,
        reference.brain, reference.tumour, target, flair.outline(image),
        made.target.tumour_fraction / reference.tumour_fraction, case.follow_up is not None,
    )  # fmt: skip


def _packed(examples: Sequence[Example]) -> dict[str, np.ndarray]:
    """Field -> values of all examples, images in half precision."""
    arrays: dict[str, np.ndarray] = {}
    for key in Example.__dataclass_fields__:
        values = np.array([getattr(e, key) for e in examples])
        arrays[key] = values.astype(np.float16) if key in IMAGES else values
    return arrays


def load_examples(folder: str | Path) -> list[Example]:
    """The images that a grid job kept in `folder`; empty where there are none."""
    path = Path(folder) / EXAMPLES
    if not path.is_file():
        return []
    with np.load(path) as held:
        arrays = {key: held[key] for key in Example.__dataclass_fields__}
    for key in IMAGES:
        arrays[key] = arrays[key].astype(np.float32)
    return [
        Example(**{k: v[i].item() if k in SCALARS else v[i] for k, v in arrays.items()})
        for i in range(len(arrays["slice_id"]))
    ]


EVALUATION = Evaluation(cases, score, summarise, table="pairs.csv", first=("slice_id",))

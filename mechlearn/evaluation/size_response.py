"""Response of the generated tumour size to the requested size.

Sizes are measured from the image (`spatial.flair_threshold`), not predicted by the guide, because
the guide's prediction can reach the target while the image hardly changes. The rank correlation is
of ratios to the initial size, because sizes correlate over slices even without any growth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mechlearn.evaluation.case_selection import first_visits
from mechlearn.evaluation.diagnostics import picture_row
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.model_pair import flair_threshold_of, generate, unguided
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.runner import Done, Evaluation
from mechlearn.evaluation.summary import mean, median, spearman
from mechlearn.records import AxialSlice, GuidanceTarget

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EVALUATION"]

KEY_MULTIPLE = 1.5  # a clear growth that is possible in every slice


def score(job: Job, item: AxialSlice) -> list[Row]:
    """One row a requested multiple of a slice's tumour size.

    `unguided_ratio` is the measured size ratio of the unguided reconstruction, the control.

    Raises:
        ValueError: the slice has no tumour.
    """
    flair = flair_threshold_of(item)
    before = flair.fraction(item.image)
    wanted = [m for m in job.task.multiples if m * item.tumour_fraction <= 1.0]
    targets = [GuidanceTarget(m * item.tumour_fraction) for m in wanted]
    made = generate(job.sampler, item, targets, seed=job.seed)
    control = flair.fraction(unguided(job.sampler, item, seed=job.seed).numpy())
    rows: list[Row] = []
    for multiple, generation in zip(wanted, made, strict=True):
        image = generation.image.numpy()
        achieved = flair.fraction(image)
        ratio = _ratio(achieved, before)
        rows.append({
            "multiple": multiple,
            "initial_fraction": item.tumour_fraction,
            "initial_measured_fraction": before,
            "achieved_fraction": achieved,
            "ratio_achieved": ratio,
            "relative_error": None if ratio is None else ratio / multiple - 1,
            "ratio_guide": _ratio(generation.predicted_after, generation.predicted_before),
            "unguided_ratio": _ratio(control, before),
            **picture_row(item, image),
        })  # fmt: skip
    return rows


def _ratio(after: float, before: float) -> float | None:
    return after / before if before > 0 else None


def summarise(job: Job, done: Done) -> Row:
    """Rank correlation of requested and achieved ratios, size errors, and changes of the image.

    `spearman` is over all generations; `spearman_within_slice_median` is its median within slices.
    The relative error is achieved over requested size minus one: `relative_error_abs_median` of its
    absolute value, `relative_error_median` the bias.
    """
    table = done.rows
    known = [r for r in table if r["ratio_achieved"] is not None]
    overall = _order(known)
    names = sorted({r["slice_id"] for r in known})
    at_key = [r for r in known if np.isclose(r["multiple"], KEY_MULTIPLE)]
    controls = {r["slice_id"]: r["unguided_ratio"] for r in table}
    out: Row = {
        "n_slices": len({r["slice_id"] for r in table}),
        "n_generations": len(table),
        "seconds_per_generation": done.seconds / len(table),
        "unguided_ratio_median": median(controls.values()),
        "spearman": overall,
        "spearman_within_slice_median": median(
            _order([r for r in known if r["slice_id"] == name]) for name in names),
        "achieved_ratio_at_1.5x": median(r["ratio_achieved"] for r in at_key),
        "guide_ratio_at_1.5x": median(r["ratio_guide"] for r in at_key),
        "size_error_fraction": mean(
            abs(r["achieved_fraction"] - r["multiple"] * r["initial_measured_fraction"])
            for r in known),
        "relative_error_abs_median": median(abs(r["relative_error"]) for r in known),
        "relative_error_median": median(r["relative_error"] for r in known),
        "changed_outside_brain_fraction": max(r["changed_outside_brain_fraction"] for r in table),
        "ssim_outside_worst": min((r["ssim_outside"] for r in table
                                   if r["ssim_outside"] is not None), default=None),
        **{key: mean(r[key] for r in table) for key in (
            "hyperintense_fraction", "drift_outside", "change_inside_share", "ssim_inside",
            "ssim_outside")},
    }  # fmt: skip
    if overall is None:
        out["spearman_reason"] = "fewer than 3 generations, or all requests or results are equal"
    return out


def _order(rows: Sequence[Row]) -> float | None:
    return spearman([r["multiple"] for r in rows], [r["ratio_achieved"] for r in rows])


def figures(job: Job, done: Done) -> Mapping[str, Figure]:
    from mechlearn.report.size_figure import size_figure

    return {"sizes.png": size_figure(done.rows)}


EVALUATION = Evaluation(
    first_visits, score, summarise, figures, table="sizes.csv",
    first=("slice_id", "multiple"),
)  # fmt: skip

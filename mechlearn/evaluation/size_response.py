"""Does the tumour in the picture follow the size that is asked for? One row, slices beside it.

Sizes are measured from the image (`spatial.flair_threshold`), never taken from the guide: a
guide can be satisfied by a picture that hardly changed. Ratios to the initial size are ranked,
not the sizes themselves: between large and small tumours these agree even if nothing ever grew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mechlearn.evaluation.diagnostics import picture_row
from mechlearn.evaluation.model_pair import Sampler, generate, meter_of, sampler_row, unguided
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.summary import mean, median, spearman
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice, GuidanceTarget

__all__ = ["MULTIPLES", "run_sizes"]

log = logging.getLogger(__name__)
MULTIPLES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
KEY_MULTIPLE = 1.5  # a clear growth that every slice has room for


def run_sizes(
    sampler: Sampler,
    slices: Sequence[AxialSlice],
    *,
    multiples: Sequence[float] = MULTIPLES,
    seed: int = 0,
    out_dir: str | Path | None = None,
) -> Row:
    """Ask for several sizes of each slice's tumour and measure what comes.

    Args:
        sampler: guided sampler.
        slices: held-out slices; those without a tumour are counted and left out.
        multiples: requested size over initial size.
        seed: of the `noise` encoding.
        out_dir: where `sizes.csv`, one line a generation, goes; None writes nothing.

    Returns:
        The row: `spearman` (requested against achieved ratio, over all generations), its median
        within slices, `relative_error_abs_median` and its bias `relative_error_median` (achieved
        over requested size, less one), `achieved_ratio_at_1.5x`, what `picture_row` tells of the
        pictures, and the unguided control.

    Raises:
        ValueError: no slice has a tumour.
    """
    usable = [s for s in slices if s.tumour.any()]
    if not usable:
        raise ValueError(
            f"sizes: none of the {len(slices)} slices has a tumour. Choose tumour slices."
        )
    start = time.monotonic()
    table: list[Row] = []
    controls: list[float] = []
    for item in tracked(usable, "sizes", log=log):
        rows, control = _respond(sampler, item, multiples, seed)
        table += rows
        controls.append(control)
    if out_dir is not None:
        write_table(Path(out_dir) / "sizes.csv", table, first=("slice_id", "multiple"))
    seconds = time.monotonic() - start
    return {
        "job": "sizes",
        "n_slices": len(usable),
        "n_patients": len({s.patient for s in usable}),
        "n_without_tumour": len(slices) - len(usable),
        "n_generations": len(table),
        "seed": seed,
        "seconds": seconds,
        "seconds_per_generation": seconds / max(len(table), 1),
        "unguided_ratio_median": float(np.median(controls)),
        **_summary(table),
        **sampler_row(sampler),
    }


def _respond(sampler: Sampler, item: AxialSlice, multiples: Sequence[float], seed: int
             ) -> tuple[list[Row], float]:
    """One row a multiple, and the measured size ratio of the unguided reconstruction."""
    meter = meter_of(item)
    before = meter.fraction(item.image)
    wanted = [m for m in multiples if m * item.tumour_fraction <= 1.0]
    targets = [GuidanceTarget(m * item.tumour_fraction) for m in wanted]
    made = generate(sampler, item, targets, seed=seed)
    rows: list[Row] = []
    for multiple, generation in zip(wanted, made, strict=True):
        image = generation.image.numpy()
        achieved = meter.fraction(image)
        ratio = _ratio(achieved, before)
        rows.append({
            "slice_id": item.slice_id,
            "patient": item.patient,
            "multiple": multiple,
            "initial_fraction": item.tumour_fraction,
            "initial_measured_fraction": before,
            "achieved_fraction": achieved,
            "ratio_achieved": ratio,
            "relative_error": None if ratio is None else ratio / multiple - 1,
            "ratio_guide": _ratio(generation.predicted_after, generation.predicted_before),
            **picture_row(item, image),
        })  # fmt: skip
    control = meter.fraction(unguided(sampler, item, seed=seed).numpy())
    return rows, control / before if before > 0 else float("nan")


def _ratio(after: float, before: float) -> float | None:
    return after / before if before > 0 else None


def _summary(table: Sequence[Row]) -> Row:
    known = [r for r in table if r["ratio_achieved"] is not None]
    overall = _order(known)
    within = [_order([r for r in known if r["slice_id"] == name])
              for name in sorted({r["slice_id"] for r in known})]
    at_key = [r["ratio_achieved"] for r in known if np.isclose(r["multiple"], KEY_MULTIPLE)]
    out: Row = {
        "spearman": overall,
        "spearman_within_slice_median": median(within),
        "achieved_ratio_at_1.5x": median(at_key),
        "guide_ratio_at_1.5x": median([r["ratio_guide"] for r in known
                                        if np.isclose(r["multiple"], KEY_MULTIPLE)]),
        "size_error_fraction": mean(
            abs(r["achieved_fraction"] - r["multiple"] * r["initial_measured_fraction"])
            for r in known),
        "relative_error_abs_median": median([abs(r["relative_error"]) for r in known]),
        "relative_error_median": median([r["relative_error"] for r in known]),
        "hyperintense_fraction": mean([r["hyperintense_fraction"] for r in table]),
        "drift_outside": mean([r["drift_outside"] for r in table]),
        "change_inside_share": mean([r["change_inside_share"] for r in table]),
        "changed_outside_brain_fraction": max(r["changed_outside_brain_fraction"] for r in table),
        "ssim_inside": mean([r["ssim_inside"] for r in table]),
        "ssim_outside": mean([r["ssim_outside"] for r in table]),
        "ssim_outside_worst": min((r["ssim_outside"] for r in table
                                   if r["ssim_outside"] is not None), default=None),
    }  # fmt: skip
    if overall is None:
        out["spearman_reason"] = "fewer than 3 generations, or all requests or results are equal"
    return out


def _order(rows: Sequence[Row]) -> float | None:
    return spearman([r["multiple"] for r in rows], [r["ratio_achieved"] for r in rows])

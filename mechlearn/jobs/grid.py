"""One cell of the grid over noise level and regressor scale (section 3.1, Fig. 2).

From a reference visit towards the tumour size known at the next visit, over pairs of visits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechlearn.imaging.baselines import dilation
from mechlearn.imaging.regions import tumour_region
from mechlearn.jobs.models import Sampler, generate, meter_of, sampler_row, target_of
from mechlearn.jobs.progress import tracked
from mechlearn.jobs.rows import Row, write_table
from mechlearn.jobs.summary import mean, median
from mechlearn.metrics.distance import dice
from mechlearn.metrics.regions import region_ssim
from mechlearn.records import AxialSlice, Generation

__all__ = ["Example", "load_examples", "run_grid"]

log = logging.getLogger(__name__)
Pair = tuple[AxialSlice, AxialSlice]
EXAMPLES = "examples.npz"


@dataclass(frozen=True)
class Example:
    """One pair's pictures: images (C, H, W) in [-1, 1], masks (H, W)."""

    slice_id: str
    reference: np.ndarray
    generated: np.ndarray
    follow_up: np.ndarray
    brain: np.ndarray
    tumour: np.ndarray


def run_grid(
    sampler: Sampler,
    pairs: Sequence[Pair],
    *,
    out_dir: str | Path | None = None,
    seed: int = 0,
    n_examples: int = 4,
) -> Row:
    """Score one (NL, s_R): similarity to the input, achieved size, agreement with the follow-up.

    Args:
        sampler: guided sampler with the cell's noise level and scale.
        pairs: (reference, follow-up) slices of the same z; references without a tumour are
            counted and left out.
        out_dir: receives `pairs.csv` and `examples.npz`; None writes nothing.
        seed: of the `noise` encoding.
        n_examples: how many pairs' pictures are kept, the first ones.

    Returns:
        The row. Sizes are measured on FLAIR; `_guide_` marks the guide's own word and
        `_no_change_`, `_dilation_` what the baselines reach.

    Raises:
        ValueError: no reference slice has a tumour.
    """
    usable = [(a, b) for a, b in pairs if a.tumour.any()]
    if not usable:
        raise ValueError(
            f"grid: none of the {len(pairs)} pairs has a tumour in its reference slice. "
            "Choose pairs of tumour slices."
        )
    start = time.monotonic()
    table: list[Row] = []
    examples: list[Example] = []
    for reference, follow_up in tracked(usable, "grid", log=log):
        target = target_of(reference, follow_up)
        (made,) = generate(sampler, reference, [target], seed=seed)
        table.append(_score(reference, follow_up, made))
        if len(examples) < n_examples:
            examples.append(Example(
                reference.slice_id, reference.image, made.image.numpy(), follow_up.image,
                reference.brain, reference.tumour,
            ))  # fmt: skip
    if out_dir is not None:
        write_table(Path(out_dir) / "pairs.csv", table, first=("slice_id",))
        _save_examples(Path(out_dir) / EXAMPLES, examples)
    seconds = time.monotonic() - start
    return {
        "job": "grid",
        "n_pairs": len(table),
        "n_patients": len({a.patient for a, _ in usable}),
        "n_without_tumour": len(pairs) - len(usable),
        "seed": seed,
        "seconds": seconds,
        "seconds_per_generation": seconds / len(table),
        **_summary(table),
        **sampler_row(sampler),
    }


def _score(reference: AxialSlice, follow_up: AxialSlice, made: Generation) -> Row:
    image = made.image.numpy()
    meter = meter_of(reference)
    before, after = meter.fraction(reference.image), meter.fraction(image)
    wanted, truth = made.target.tumour_fraction, follow_up.tumour
    region = tumour_region(reference.tumour, reference.brain)
    ssim = region_ssim(image, reference.image, tumour=region, brain=reference.brain)
    grown = dilation(reference.tumour, reference.brain, int(truth.sum()),
                     spacing_mm=reference.spacing_mm)
    row: Row = {
        "slice_id": reference.slice_id,
        "patient": reference.patient,
        "horizon_days": follow_up.day - reference.day,
        "ssim_inside": ssim.inside,
        "ssim_outside": ssim.outside,
        "target_fraction": wanted,
        "initial_fraction": reference.tumour_fraction,
        "initial_measured_fraction": before,
        "achieved_fraction": after,
        "guide_fraction": made.predicted_after,
        "size_error_fraction": abs(after - wanted),
        "size_error_guide_fraction": abs(made.predicted_after - wanted),
        "size_error_no_change_fraction": abs(before - wanted),
        "ratio_requested": wanted / reference.tumour_fraction,
        "ratio_achieved": after / before if before > 0 else None,
        "dice": dice(meter.mask(image), truth),
        "dice_no_change": dice(reference.tumour, truth),
        "dice_dilation": dice(grown, truth),
    }
    for where in ("inside", "outside"):
        values = getattr(ssim, f"{where}_per_contrast")
        for i, name in enumerate(reference.contrasts):
            row[f"ssim_{where}_{name}"] = None if values is None else values[i]
    return row


def _summary(table: Sequence[Row]) -> Row:
    out: Row = {}
    for key in table[0]:
        if key.startswith(("ssim_", "size_error_", "dice")):
            out[key] = mean(r[key] for r in table)
        elif key in ("ratio_requested", "ratio_achieved", "horizon_days"):
            out[key] = median(r[key] for r in table)
    return out


def _save_examples(path: Path, examples: Sequence[Example]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {"slice_id": np.array([e.slice_id for e in examples])}
    for key in ("reference", "generated", "follow_up"):
        arrays[key] = np.stack([getattr(e, key) for e in examples]).astype(np.float16)
    for key in ("brain", "tumour"):
        arrays[key] = np.stack([getattr(e, key) for e in examples])
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def load_examples(folder: str | Path) -> list[Example]:
    """The pictures that `run_grid` kept in `folder`; empty where there are none."""
    path = Path(folder) / EXAMPLES
    if not path.is_file():
        return []
    with np.load(path) as held:
        images = {k: held[k].astype(np.float32) for k in ("reference", "generated", "follow_up")}
        return [
            Example(
                str(name), images["reference"][i], images["generated"][i], images["follow_up"][i],
                held["brain"][i], held["tumour"][i],
            )  # fmt: skip
            for i, name in enumerate(held["slice_id"])
        ]

"""How near two sets of generations are: their growth maps, and the sizes that they reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sampling import Sampled

from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.model_pair import flair_threshold_of
from mechlearn.metrics.distance import dice
from mechlearn.records import AxialSlice
from mechlearn.spatial.otsu_map import DEFAULT_FLOOR, ChangeFloor, change_floor, growth_map

__all__ = ["MAPS", "against", "map_of", "mean_row"]

# How a generation votes: as the recipe says, by the paper's bare Otsu, by its measured tumour.
MAPS = ("map", "otsu", "mask")


def map_of(made: Sampled, reference: AxialSlice, spec: MapSpec, way: str = "map") -> np.ndarray:
    """Probability map (H, W) by one way of MAPS; the floor is that of `evaluation.slice_maps`."""
    given: dict[str, Any] = {"floor": 0.0, "median_px": 1}
    if way == "map":
        seen = change_floor(reference.image, made.unguided, brain=reference.brain,
                            median_px=spec.median_px)  # fmt: skip
        measured = ChangeFloor(
            max(seen.pixel, DEFAULT_FLOOR.pixel), max(seen.peak, DEFAULT_FLOOR.peak)
        )
        given = {"floor": measured if spec.floor is None else spec.floor,
                 "median_px": spec.median_px, "source": spec.source}  # fmt: skip
    if "mask" in (way, given.get("source")):
        given |= {"source": "mask", "flair": flair_threshold_of(reference)}
    return growth_map(
        reference.image, made.generations(), brain=reference.brain, kind="dynamic",
        spacing_mm=reference.spacing_mm, **given,
    ).probability  # fmt: skip


def against(
    made: Sampled, full: Sampled, reference: AxialSlice, spec: MapSpec
) -> dict[str, float | None]:
    """One slice: `made` against the full run.

    `mad_*`: mean absolute difference of the probabilities over the brain; `dice_*`: of p >= 0.5,
    None where both are empty, from `shared_*` pixels of `both_*` masks together; sizes measured
    from the images (FLAIR): their mean over that of the full run's, and the median error, of the
    targets.
    """
    row: dict[str, float | None] = {}
    for name in MAPS:
        a, b = (map_of(s, reference, spec, name) for s in (made, full))
        row[f"mad_{name}"] = float(np.abs(a - b)[reference.brain].mean())
        likely, likely_in_full = a >= 0.5, b >= 0.5
        row[f"dice_{name}"] = dice(likely, likely_in_full)
        row[f"shared_{name}"] = float((likely & likely_in_full).sum())
        row[f"both_{name}"] = float(likely.sum() + likely_in_full.sum())
    flair = flair_threshold_of(reference)
    sizes, full_sizes = (np.array([flair.fraction(i) for i in s.images]) for s in (made, full))
    row["size_over_full"] = float(
        (sizes @ made.weights / made.weights.sum()) / max(float(full_sizes.mean()), 1e-9)
    )
    row["size_error"] = float(np.median(np.abs(sizes - made.targets) / made.targets))
    return row | made.cost


def mean_row(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Means over slices, the worst of mad_map and dice_map, each Dice of all slices' pixels
    together (`*_pooled`), and the number of its gaps."""
    out: dict[str, float] = {"slices": len(rows)}
    for key in rows[0]:
        if key.startswith(("shared_", "both_")):
            continue
        values = [v for row in rows if (v := row[key]) is not None]
        out[key] = float(np.mean(values)) if values else float("nan")
        if key.startswith("dice_"):
            shared, both = (sum(float(row[key.replace("dice_", n)] or 0) for row in rows)
                            for n in ("shared_", "both_"))  # fmt: skip
            out[f"{key}_pooled"] = 2 * shared / both if both else float("nan")
            out[f"{key}_undefined"] = len(rows) - len(values)
    out["mad_map_worst"] = max(float(row["mad_map"] or 0) for row in rows)
    out["dice_map_worst"] = min((row["dice_map"] for row in rows if row["dice_map"] is not None),
                                default=float("nan"))
    return out

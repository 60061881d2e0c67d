"""Where a tumour of the true size lies: dilation, and a ladder of baselines, on held-out slices.

python experiments/where/rungs.py STORE OUT [--slices N] [--split val|test]

Pairs of consecutive visits of the split's patients, slices of at least 100 mm2 that grow by more
than 10%. Every method gets the reference scan and the true area; none sees the follow-up.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from mechlearn.data.selection import pair_rows, spread
from mechlearn.data.store import SliceRow, SliceStore
from mechlearn.evaluation.baseline_comparison import agreement, beside, methods_of, table
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice
from mechlearn.spatial.arrival_order import (
    growth_order,
    joining_fraction,
    mask_at_area,
    travel_order,
)
from mechlearn.spatial.baselines import dilation, heat_kernel, no_change
from mechlearn.spatial.regions import signed_distance

log = logging.getLogger("where")
Order = Callable[[AxialSlice], np.ndarray]


def flat(scan: AxialSlice) -> AxialSlice:
    """The scan as if its plane were all that is known."""
    return replace(scan, surroundings=None)


def distance_in_space(scan: AxialSlice) -> np.ndarray:
    """Order by the distance to the visit's whole tumour."""
    assert scan.surroundings is not None
    tumour = scan.tumour & scan.brain
    depth = signed_distance(tumour, spacing_mm=scan.spacing_mm)
    outside = np.maximum(scan.surroundings.distance_mm, 0.0)
    return joining_fraction(np.where(tumour, depth, outside), scan.brain, ties=depth)


ORDERS: dict[str, Order] = {
    "distance_in_space": distance_in_space,
    "travel_in_plane": lambda scan: travel_order(flat(scan)),
    "travel_in_space": travel_order,
    "prior_in_plane": lambda scan: growth_order(flat(scan)),
    "growth_order": growth_order,
}


def masks_of(scan: AxialSlice, area_px: int) -> dict[str, np.ndarray]:
    """Every method's mask of one size."""
    tumour, brain = scan.tumour, scan.brain
    masks = {
        "no_change": no_change(tumour),
        "dilation": dilation(tumour, brain, area_px, spacing_mm=scan.spacing_mm),
    }
    heat = heat_kernel(tumour, brain, area_px)
    masks["heat_kernel"] = mask_at_area(joining_fraction(-heat, brain), area_px)
    for name, order in ORDERS.items():
        masks[name] = mask_at_area(order(scan), area_px)
    return masks


def chosen(store: SliceStore, split: str, limit: int) -> list[tuple[SliceRow, SliceRow]]:
    """At most `limit` pairs, taken in turns from the patients, in order of patient."""
    rows = pair_rows(store, split, count=10, min_area_mm2=100.0, min_growth=0.10)
    groups: dict[str, list[tuple[SliceRow, SliceRow]]] = {}
    for pair in rows:
        groups.setdefault(pair[0].patient, []).append(pair)
    rng = np.random.default_rng(0)  # else the first visits' slices would be all that is taken
    shuffled = [[group[i] for i in rng.permutation(len(group))] for group in groups.values()]
    return sorted(spread(shuffled, limit), key=lambda p: (p[0].patient, p[0].session, p[0].z))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--slices", type=int, default=320)
    parser.add_argument("--split", default="test", choices=("val", "test"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    store = SliceStore(arguments.store)
    rows: list[Row] = []
    for before, after in tracked(
        chosen(store, arguments.split, arguments.slices), "slices", log=log
    ):
        scan, follow_up = store.read(before, surroundings=True), store.read(after)
        truth = follow_up.tumour
        area_px = int(truth.sum())
        rows.append({
            "slice_id": scan.slice_id, "patient": scan.patient,
            "growth": area_px / int(scan.tumour.sum()),
            **agreement(masks_of(scan, area_px), truth, scan.spacing_mm),
        })  # fmt: skip
    methods = methods_of(rows)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_table(arguments.out / "slices.csv", rows, first=("slice_id", "patient", "growth"))
    result = beside(rows, baseline="dilation")
    text = json.dumps(result, indent=2, sort_keys=True) + "\n"
    (arguments.out / "result.json").write_text(text)
    lines = [f"{result['n_slices']} slices of {result['n_patients']} patients, by growth:", ""]
    lines += [table(result, methods)]
    for low, high in ((1.1, 1.3), (1.3, 1.6), (1.6, 2.2), (2.2, np.inf)):
        part = [r for r in rows if low <= r["growth"] < high]
        if len({r["patient"] for r in part}) > 1:
            lines += ["", f"growth x{low:g} to {high:g}: {len(part)} slices", ""]
            lines += [table(beside(part, baseline="dilation"), ["dilation", "growth_order"])]
    (arguments.out / "table.md").write_text("\n".join(lines) + "\n")
    Console(width=200).print("\n".join(lines), markup=False)


if __name__ == "__main__":
    main()

"""Fit the order of growth in space to simulated tumours.

    python experiments/where/fit_order.py mechlearn/spatial/priors/phantom_order.json

Pairs of consecutive visits of 50 training patients, growing or not, give the weights; those of ten
validation patients the spread. Voxels near the tumour's edge are drawn more often.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from volumes import CONTRASTS, canonical

from mechlearn.evaluation.prior_fit import fit_weights
from mechlearn.phantom.phantom_patient import simulate
from mechlearn.phantom.phantom_spec import PatientKey, PhantomSpec
from mechlearn.records import PlaceSpread
from mechlearn.spatial.fitted_order import FittedOrder, columns, fields, near_box
from mechlearn.spatial.place_spread import Counts, fit_place_spread, log_ratio_counts
from mechlearn.spatial.volume_arrival import arrival_from_score

VISITS = 5
DRAWN = {False: 2500, True: 1200}  # voxels of a pair, outside and inside the tumour
REACH_MM, EDGE_MM, FLOOR = 30.0, 6.0, 0.05  # chance of a voxel: exp(-distance / EDGE_MM) + FLOOR
LEAST = 5  # voxels of either kind, for a pair to count

Group = dict[bool, tuple[np.ndarray, np.ndarray]]
Pair = tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]


def pairs(spec: PhantomSpec, key: PatientKey) -> Iterator[Pair]:
    """(tumour, next tumour, brain, contrasts) of consecutive visits."""
    patient = simulate(spec, key)
    visits = list(patient.visits)
    for last, following in zip(visits, visits[1:], strict=False):
        tumour, truth = (np.ascontiguousarray(canonical(v.labels) > 0) for v in (last, following))
        if tumour.any() and truth.any():
            brain = canonical(last.tissues.brain.numpy()) | tumour
            images = dict(zip(CONTRASTS, canonical(patient.paint(last)), strict=True))
            yield tumour, truth, brain, images


def drawn(pair: Pair, side: float, rng: np.random.Generator) -> tuple[Group, list[list[str]]]:
    """Columns (N, K) and truth (N,) of the voxels drawn outside and inside a tumour."""
    tumour, truth, brain, images = pair
    box = near_box(tumour, (side,) * 3)
    cut = {name: image[box] for name, image in images.items()}
    found = fields(cut, brain[box], tumour[box], (side,) * 3)
    group: Group = {}
    names = []
    for inside, most in DRAWN.items():
        far = np.abs(found["edge"])
        region = tumour[box] if inside else brain[box] & ~tumour[box] & (far < REACH_MM)
        at = np.flatnonzero(region)
        chance = np.exp(-far.ravel()[at] / EDGE_MM) + FLOOR
        at = np.sort(rng.choice(at, min(most, at.size), replace=False, p=chance / chance.sum()))
        held = dict(columns(found, inside=inside))
        names.append(list(held))
        x = np.stack([v.ravel()[at] for v in held.values()], 1).astype(np.float32)
        group[inside] = x, truth[box].ravel()[at]
    return group, names


def weights(groups: list[Group], names: list[str], *, inside: bool) -> dict[str, float]:
    """Weights of the score, one intercept a pair."""
    kept = [g[inside] for g in groups if min(g[inside][1].sum(), (~g[inside][1]).sum()) >= LEAST]
    which = np.repeat(np.arange(len(kept)), [len(y) for _, y in kept])
    x, y = (np.concatenate([k[i] for k in kept]) for i in (0, 1))
    return dict(zip(names, (-fit_weights(x, y, which)).tolist(), strict=True))


def counted(order: FittedOrder, pair: Pair, side: float) -> Counts:
    """Voxels by log(arrival / true size) of one pair."""
    tumour, truth, brain, images = pair
    score = order.score(images, brain, tumour, (side,) * 3)
    sizes = arrival_from_score(score, tumour, brain, (side,) * 3)
    return log_ratio_counts(sizes, truth, float(truth.sum()) * side**3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=50, help="of the training split")
    parser.add_argument("--validation", type=int, default=10, help="patients of the spread")
    parser.add_argument("--voxel-mm", type=float, default=2.0)
    args = parser.parse_args()
    side, console, rng = args.voxel_mm, Console(), np.random.default_rng(0)
    spec = PhantomSpec(voxel_mm=side, train_visits=VISITS)
    keys = spec.patients("train")
    groups: list[Group] = []
    names: list[list[str]] = []
    for k in np.linspace(0, len(keys) - 1, args.patients).round().astype(int):
        for pair in pairs(spec, keys[k]):
            group, names = drawn(pair, side, rng)
            groups.append(group)
        console.print(f"{keys[k].name}: {len(groups)} pairs so far")
    about = {"fitted_to": "simulated tumours, training split", "n_patients": args.patients,
             "n_pairs": len(groups), "voxel_mm": side,
             "spread_patients": args.validation}  # fmt: skip
    outside, inside = (weights(groups, names[i], inside=bool(i)) for i in (0, 1))
    order = FittedOrder(outside, inside, PlaceSpread(0.0, 0.3, 0.3), about)
    counts = [counted(order, pair, side)
              for key in spec.patients("val")[: args.validation]
              for pair in pairs(spec, key)]  # fmt: skip
    FittedOrder(outside, inside, fit_place_spread(counts), about).save(args.out)


if __name__ == "__main__":
    main()

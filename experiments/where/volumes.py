"""Whole volumes of held-out phantoms at the true volume: the fitted order and all baselines.

    python experiments/where/volumes.py OUT --patients 3

Phantoms are grown as they are needed, at 2 mm; tissue is read from their painted contrasts. Our
order is the one that `fit_order.py` fitted to other phantoms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scored_case import (
    METRICS,
    ForecastCase,
    arrival_maps,
    score_arrivals,
    scores_of,
)
from mechlearn.files import read_json, write_json
from mechlearn.metrics.rank import clustered_interval
from mechlearn.phantom.phantom_patient import simulate
from mechlearn.phantom.phantom_spec import PatientKey, PhantomSpec
from mechlearn.spatial.fitted_order import phantom_order
from mechlearn.spatial.volume_arrival import FrontSpec, image_speed

CONTRASTS = ("t1n", "t1c", "t2w", "t2f")  # in the order in which a phantom is painted
GROWTH = 1.1
OURS, BASELINES = "arrival_order", ("dilation", "dilation_in_brain", "heat_kernel", "fisher_kpp",
                                 "travel_time")  # fmt: skip


def canonical(volume: np.ndarray) -> np.ndarray:
    """(..., X, Y, Z) of a phantom -> (..., Z, H, W): upwards, front to back, right to left."""
    return np.flip(np.moveaxis(volume, (-1, -2, -3), (-3, -2, -1)), (-2,))


def pairs(spec: PhantomSpec, key: PatientKey) -> list[ForecastCase]:
    """Consecutive visits of one phantom between which the tumour grows by more than 10%."""
    patient = simulate(spec, key)
    visits = list(patient.visits)
    side = spec.voxel_mm
    found = []
    for last, following in zip(visits, visits[1:], strict=False):
        tumour, truth = (canonical(v.labels) > 0 for v in (last, following))
        if not tumour.any() or truth.sum() <= GROWTH * tumour.sum():
            continue
        brain = canonical(last.tissues.brain.numpy())
        painted = dict(zip(CONTRASTS, canonical(patient.paint(last)), strict=True))
        speed = image_speed(painted, brain, tumour, spacing_mm=(side,) * 3, spec=FrontSpec())
        score = phantom_order().score(painted, brain, tumour, (side,) * 3)
        found.append(ForecastCase(key.name, tumour, truth, brain, np.zeros_like(tumour),
                                  (side,) * 3, speed, score=score))  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=3)
    parser.add_argument("--voxel-mm", type=float, default=2.0)
    args = parser.parse_args()
    console, rows = Console(), []
    spec = PhantomSpec(voxel_mm=args.voxel_mm)
    for key in spec.patients("test")[: args.patients]:
        for case in pairs(spec, key):
            size = float(case.truth.sum()) * args.voxel_mm**3
            case = case.cropped()
            rows += [{"patient": key.name, **r}
                     for r in score_arrivals(case, arrival_maps(case, size), size)]  # fmt: skip
            rows.append({"patient": key.name, "method": "no_change",
                         **scores_of(case, case.last, None)})  # fmt: skip
        console.print(f"{key.name}: {len(rows) // (2 + len(BASELINES))} pairs so far")
        if rows:
            write_json(args.out / "volumes.json", summed(rows))
    result = summed(rows)
    shared = args.out / "result.json"  # of the slices, where they were scored before
    if shared.is_file():
        write_json(shared, read_json(shared) | result)
    console.print_json(data=result)


def summed(rows: list[Row]) -> dict[str, float]:
    """Means over pairs by method; gains of our order, intervals that resample patients."""
    out: dict[str, float] = {"volume_pairs": len([r for r in rows if r["method"] == OURS])}
    for method in (OURS, *BASELINES, "no_change"):
        mine = [r for r in rows if r["method"] == method]
        for metric in METRICS:
            values = [float(r[metric]) for r in mine if r[metric] is not None]  # type: ignore[arg-type]
            out[f"volume_{method}_{metric}"] = float(np.mean(values))
    ours = [r for r in rows if r["method"] == OURS]
    for baseline in BASELINES:
        theirs = [r for r in rows if r["method"] == baseline]
        for metric, sign in (("dice", 1.0), ("hd95_mm", -1.0), ("average_precision", 1.0)):
            gain = [sign * (float(a[metric]) - float(b[metric]))  # type: ignore[arg-type]
                    for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
            found = clustered_interval(gain, [str(r["patient"]) for r in ours],
                                       rng=np.random.default_rng(0), statistic="mean")  # fmt: skip
            key = f"volume_gain_on_{baseline}_{metric}"
            out |= {key: found.estimate or 0.0, f"{key}_low": found.low or 0.0,
                    f"{key}_high": found.high or 0.0}  # fmt: skip
    return out


if __name__ == "__main__":
    main()

"""Real pairs at the true volume: the default order beside all baselines.

    python experiments/where_real/where_real.py OUT [--patients N]

Writes result.json, patients.csv, table.md and three figures into OUT.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pairs import btp, root, ucsf
from pictures import draw_coverage, draw_planes, draw_reliability
from rich.console import Console

from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scored_case import (
    METRICS,
    ForecastCase,
    arrival_maps,
    score_arrivals,
    scores_of,
)
from mechlearn.files import write_json
from mechlearn.metrics.calibration import Reliability, ece, reliability
from mechlearn.metrics.distance import dice, hd95_mm
from mechlearn.metrics.rank import clustered_interval
from mechlearn.records import ArrivalMap
from mechlearn.spatial.place_spread import fit_place_spread, log_ratio_counts
from mechlearn.spatial.volume_arrival import FrontSpec, arrival_from_score, front_score

GROWING = 1.1  # of the last size
OURS, BASELINES = "arrival_order", ("dilation", "travel_time")
PICTURED = 3
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.6, 1.0)  # of the deep part, tried
PAIR = {"higher": ("dice", "surface_dice_2mm", "average_precision", "coverage_15mm"),
        "lower": ("hd95_mm",)}  # fmt: skip


def true_size(case: ForecastCase) -> float:
    return float(case.truth.sum()) * float(np.prod(case.spacing_mm))


def scored(case: ForecastCase, maps: Mapping[str, ArrivalMap], group: str) -> list[Row]:
    """Rows of one case, all methods at the true size."""
    grew = case.truth.sum() / case.last.sum()
    kind = group if group == "btp" else f"{group}_{'growing' if grew > GROWING else 'others'}"
    rows = score_arrivals(case, maps, true_size(case))
    rows.append({"method": "no_change", **scores_of(case, case.last, None)})
    return [{"group": kind, "patient": case.patient, "growth": float(grew), **r} for r in rows]


def calibrated(
    cases: Sequence[ForecastCase], orders: Sequence[ArrivalMap]
) -> tuple[dict[str, float], Reliability]:
    """ECE at the true size outside the last tumour: as a step, and with the spread of the others.

    Each patient's spread is fitted to the other patients alone.
    """
    counts = [
        log_ratio_counts(o.arrival, c.truth, true_size(c))
        for c, o in zip(cases, orders, strict=True)
    ]
    smooth, step, truth = [], [], []
    for i, (case, order) in enumerate(zip(cases, orders, strict=True)):
        spread = fit_place_spread([c for j, c in enumerate(counts) if j != i])
        region = case.where & ~case.last
        size = true_size(case)
        certain = (order.arrival[region] <= size).astype(float)
        likely = spread.probability(np.log(order.arrival[region] / size))
        smooth.append(likely if order.closed is None
                      else np.where(order.closed[region], certain, likely))  # fmt: skip
        step.append(certain)
        truth.append(case.truth[region])
    p, q, t = (np.concatenate(a) for a in (smooth, step, truth))
    everywhere = np.ones(t.shape, bool)
    full = fit_place_spread(counts)
    return {
        "ece_spread": ece(p, t, region=everywhere) or 0.0,
        "ece_step": ece(q, t, region=everywhere) or 0.0,
        "spread_shift": full.shift, "spread_inner": full.inner, "spread_outer": full.outer,
    }, reliability(p, t, region=everywhere)  # fmt: skip


def left_out(cases: Sequence[ForecastCase]) -> dict[str, float]:
    """Dice and HD95 of growing patients, the deep part's weight chosen by the other patients."""
    table: dict[str, list[tuple[float, float]]] = {}
    for case in cases:
        if case.truth.sum() / case.last.sum() <= GROWING:
            continue
        edge, both = (
            front_score(case.pace, case.last, case.spacing_mm, spec=FrontSpec(deep_weight=w))
            for w in (0.0, 1.0)
        )
        far = np.where(np.isfinite(edge), both - np.where(np.isfinite(edge), edge, 0.0), 0.0)
        for weight in WEIGHTS:
            sizes = arrival_from_score(edge + weight * far, case.last, case.where, case.spacing_mm)
            mask = sizes <= true_size(case)
            found = (dice(mask, case.truth) or 0.0, hd95_mm(mask, case.truth, case.spacing_mm))
            table.setdefault(case.patient, []).append((found[0], found[1] or np.nan))
    scores = np.array(list(table.values()))  # (patients, weights, 2)
    chosen = []
    for i in range(len(scores)):
        others = np.delete(scores, i, axis=0)
        best = int(np.argmax(others[:, :, 0].mean(axis=0))) if len(others) else 0
        chosen.append(scores[i, best])
    mean = np.mean(chosen, axis=0)
    out = {"left_out_dice": float(mean[0]), "left_out_hd95_mm": float(mean[1])}
    for weight, (d, h) in zip(WEIGHTS, scores.mean(axis=0), strict=True):
        out |= {f"deep_{weight:g}_dice": float(d), f"deep_{weight:g}_hd95_mm": float(h)}
    return out


def compared(rows: Sequence[Row]) -> dict[str, float]:
    """Means, and gains of our order on its baselines with intervals that resample patients."""
    out: dict[str, float] = {}
    for group in dict.fromkeys(str(r["group"]) for r in rows):
        mine = [r for r in rows if r["group"] == group]
        for method in dict.fromkeys(str(r["method"]) for r in mine):
            for metric in METRICS:
                values = per_patient([r for r in mine if r["method"] == method], metric)
                if values:
                    out[f"{group}_{method}_{metric}"] = float(np.mean(list(values.values())))
        for baseline in BASELINES:
            for metric in (*PAIR["higher"], *PAIR["lower"]):
                out |= gain(mine, baseline, metric, f"{group}_gain_on_{baseline}_{metric}")
    return out


def per_patient(rows: Sequence[Row], metric: str) -> dict[str, float]:
    """Mean of a metric over a patient's cases, undefined ones left out."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row[metric] is not None:
            found.setdefault(str(row["patient"]), []).append(float(row[metric]))  # type: ignore[arg-type]
    return {name: float(np.mean(values)) for name, values in found.items()}


def gain(rows: Sequence[Row], baseline: str, metric: str, key: str) -> dict[str, float]:
    """Paired difference ours - baseline (baseline - ours for a distance), mean and interval."""
    ours = per_patient([r for r in rows if r["method"] == OURS], metric)
    theirs = per_patient([r for r in rows if r["method"] == baseline], metric)
    sign = -1.0 if metric in PAIR["lower"] else 1.0
    both = [name for name in ours if name in theirs]
    if len(both) < 2:
        return {}
    found = clustered_interval([sign * (ours[n] - theirs[n]) for n in both], both,
                               rng=np.random.default_rng(0), statistic="mean")  # fmt: skip
    return {key: found.estimate or 0.0, f"{key}_low": found.low or 0.0,
            f"{key}_high": found.high or 0.0}  # fmt: skip


def markdown(result: Mapping[str, float], rows: Sequence[Row]) -> str:
    """One table a group."""
    lines = []
    shown = ("dice", "hd95_mm", "surface_dice_2mm", "average_precision", "coverage_15mm")
    for group in dict.fromkeys(str(r["group"]) for r in rows):
        mine = [r for r in rows if r["group"] == group]
        n = len({r["patient"] for r in mine})
        lines += [f"\n{group}: {n} patients, {len(mine) // 7} cases\n",
                  "| method | " + " | ".join(shown) + " |",
                  "|---" * (len(shown) + 1) + "|"]  # fmt: skip
        for method in dict.fromkeys(str(r["method"]) for r in mine):
            cells = [result.get(f"{group}_{method}_{m}") for m in shown]
            text = " | ".join("-" if c is None else f"{c:.3f}" for c in cells)
            lines.append(f"| {method} | {text} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, help="UCSF patients; all by default")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    rows: list[Row] = []
    flat = btp(root())
    for case in flat:
        rows += scored(case, arrival_maps(case, true_size(case)), "btp")
    console.print(f"BTP: {len(flat)} slices")
    cases, orders, coverage = ucsf(root(), limit=args.patients), [], []
    for case in cases:
        maps = arrival_maps(case, true_size(case))
        rows += scored(case, maps, "ucsf")
        orders.append(maps[OURS])
        if case.truth.sum() / case.last.sum() > GROWING:
            coverage.append((case, {n: maps[n] for n in ("dilation_in_brain", OURS)}))
        console.print(f"UCSF {case.patient}")
    result = compared(rows)
    calibration, bins = calibrated(cases, orders)
    result |= calibration
    write_json(args.out / "result.json", result)
    (args.out / "table.md").write_text(markdown(result, rows))
    with (args.out / "patients.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    draw_reliability(bins, args.out / "reliability.png")
    draw_coverage(coverage, args.out / "coverage.png")
    draw_planes([(c, m[OURS], true_size(c)) for c, m in coverage[-PICTURED:]],
                args.out / "planes.png")  # fmt: skip
    console.print((args.out / "table.md").read_text(), markup=False)
    write_json(args.out / "result.json", result | left_out(cases))


if __name__ == "__main__":
    main()

"""Growth maps of held-out phantoms in 3D at the forecast size: the fitted order and all baselines.

    python experiments/where/forecasts.py OUT --patients 16

Sizes are forecast by a prior that is fitted to the volumes of other phantoms (the `series` split),
from the visits before the day that is forecast. Every method gets the same forecast, and a spread
of its own that is fitted to the validation patients. Finished patients stay in OUT/forecasts/.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from volumes import CONTRASTS, canonical

from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scored_case import METRICS, ForecastCase, arrival_maps, scores_of
from mechlearn.files import read_json, write_json
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.growth.size_prior import SizePrior
from mechlearn.growth.size_prior_fit import fit_size_prior
from mechlearn.metrics.calibration import ece
from mechlearn.metrics.rank import clustered_interval
from mechlearn.phantom.phantom_patient import each_patient, simulate
from mechlearn.phantom.phantom_sizes import PatientSeries, measure
from mechlearn.phantom.phantom_spec import SERIES, PatientKey, PhantomSpec
from mechlearn.records import ArrivalMap, PlaceSpread, SizeForecast, SizeReading, SizeSeries
from mechlearn.spatial.fitted_order import phantom_order
from mechlearn.spatial.place_spread import fit_place_spread, log_ratio_counts
from mechlearn.spatial.volume_arrival import FrontSpec, image_speed
from mechlearn.spatial.volume_baselines import uniform_margin

OURS = "arrival_order"
BASELINES = ("no_change", "dilation", "dilation_in_brain", "heat_kernel", "fisher_kpp",
             "travel_time", "margin_15mm", "margin_5mm")  # fmt: skip
PRIOR_VOXEL_MM = 3.0  # volumes alone are measured
SHOWN = ("dice", "hd95_mm", "average_precision", "brier", "ece", "coverage_15mm",
         "coverage_5mm")  # fmt: skip
LOWER = ("hd95_mm", "brier", "ece")  # the lower, the better


def volumes(measured: PatientSeries, voxel_mm: float) -> SizeSeries:
    """Whole-tumour volumes of a phantom, mm3."""
    sizes = measured.areas_mm2.sum(axis=1) * voxel_mm
    readings = tuple(map(SizeReading, measured.days, sizes.tolist(), measured.sessions))
    return SizeSeries(measured.patient, measured.patient, readings, measured.courses, unit="mm3")


def phantom_prior(path: Path, *, patients: int, workers: int) -> SizePrior:
    """The prior of phantom volumes; read where it was fitted before."""
    if not path.exists():
        spec = PhantomSpec(voxel_mm=PRIOR_VOXEL_MM)
        found = each_patient(_Measured(spec), spec.patients(SERIES)[:patients], workers=workers)
        cohort = sorted((series for _, series in found), key=lambda s: s.patient)
        fit_size_prior(cohort, about={"cohort": "phantoms, series split"}).save(path)
    return SizePrior.load(path)


class _Measured:
    """Picklable: (key) -> volumes."""

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec

    def __call__(self, key: PatientKey) -> SizeSeries:
        return volumes(measure(self.spec, key), self.spec.voxel_mm)


def pairs(
    spec: PhantomSpec, key: PatientKey, prior: SizePrior
) -> Iterator[tuple[ForecastCase, SizeForecast]]:
    """Consecutive visits of a phantom, each with the forecast made from the visits before."""
    patient = simulate(spec, key)
    visits = list(patient.visits)
    voxel, side = spec.voxel_mm**3, (spec.voxel_mm,) * 3
    masks = [canonical(v.labels) > 0 for v in visits]
    courses = PatientSeries(key.name, (), (), np.zeros((0, 0)), patient.truth).courses
    readings = [SizeReading(float(v.day), float(m.sum()) * voxel, v.session)
                for v, m in zip(visits, masks, strict=True)]  # fmt: skip
    for k in range(1, len(visits)):
        if not masks[k - 1].any() or not masks[k].any():
            continue
        series = SizeSeries(key.name, key.name, tuple(readings[:k]), courses, unit="mm3")
        forecast = forecast_size(series, readings[k].day, prior=prior)
        last = visits[k - 1]
        brain = canonical(last.tissues.brain.numpy())
        painted = dict(zip(CONTRASTS, canonical(patient.paint(last)), strict=True))
        speed = image_speed(painted, brain, masks[k - 1], spacing_mm=side, spec=FrontSpec())
        score = phantom_order().score(painted, brain, masks[k - 1], side)
        case = ForecastCase(key.name, masks[k - 1], masks[k], brain, np.zeros_like(brain), side,
                            speed, score=score)  # fmt: skip
        yield case.cropped(), forecast


def fitted_spreads(found: Sequence[ForecastCase]) -> dict[str, PlaceSpread]:
    """Spread of every method at the true size of the validation patients."""
    counts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for case in found:
        size = float(case.truth.sum()) * float(np.prod(case.spacing_mm))
        for name, arrival in arrival_maps(case, size).items():
            counts.setdefault(name, []).append(log_ratio_counts(arrival.arrival, case.truth, size))
    return {name: fit_place_spread(pairs) for name, pairs in counts.items()}


def scored(
    case: ForecastCase, forecast: SizeForecast, spreads: Mapping[str, PlaceSpread]
) -> list[Row]:
    """A row a method: masks at the median size, probabilities of the whole forecast."""
    median = forecast.median
    rows = [{"method": "no_change", **scores_of(case, case.last, None)}]
    for name, arrival in arrival_maps(case, median).items():
        spread_map = replace(arrival, spread=spreads[name])
        p = spread_map.growth_map(forecast).probability
        rows.append({"method": name, **scores_of(case, arrival.mask(median), _rank(arrival), p),
                     "ece_certain": _ece_certain(case, arrival, forecast)})  # fmt: skip
    for margin in (15.0, 5.0):
        mask = uniform_margin(case.last, case.where, case.spacing_mm, margin)
        rows.append({"method": f"margin_{margin:g}mm", **scores_of(case, mask, None)})
    growth = float(case.truth.sum()) / float(case.last.sum())
    inside = forecast.interval(0.95)
    held = inside[0] <= float(case.truth.sum()) * float(np.prod(case.spacing_mm)) <= inside[1]
    return [{"patient": case.patient, "growth": growth, "size_held": held, **r} for r in rows]


def _rank(arrival: ArrivalMap) -> np.ndarray:
    reached = np.isfinite(arrival.arrival)
    return -np.where(reached, arrival.arrival, arrival.arrival[reached].max() * 2)


def _ece_certain(case: ForecastCase, arrival: ArrivalMap, forecast: SizeForecast) -> float | None:
    p = replace(arrival, spread=None).growth_map(forecast).probability
    return ece(p, case.truth, region=case.where & ~case.last)


def summed(rows: Sequence[Row]) -> dict[str, float]:
    """Means over patients; gains of the fitted order with intervals that resample patients."""
    out: dict[str, float] = {
        "forecast_pairs": len([r for r in rows if r["method"] == OURS]),
        "forecast_patients": len({r["patient"] for r in rows}),
        "forecast_size_held": float(np.mean([bool(r["size_held"]) for r in rows])),
    }
    for method in dict.fromkeys(str(r["method"]) for r in rows):
        for metric in (*METRICS, "ece_certain"):
            values = [float(r[metric]) for r in rows
                      if r["method"] == method and r.get(metric) is not None]  # fmt: skip
            if values:
                out[f"forecast_{method}_{metric}"] = float(np.mean(values))
    for baseline in BASELINES:
        for metric in SHOWN:
            out |= _gain(rows, baseline, metric)
    return out


def _gain(rows: Sequence[Row], baseline: str, metric: str) -> dict[str, float]:
    ours = [r for r in rows if r["method"] == OURS]
    theirs = [r for r in rows if r["method"] == baseline]
    sign = -1.0 if metric in LOWER else 1.0
    both = [(sign * (float(a[metric]) - float(b[metric])), str(a["patient"]))
            for a, b in zip(ours, theirs, strict=True)
            if a[metric] is not None and b[metric] is not None]  # fmt: skip
    found = clustered_interval([g for g, _ in both], [p for _, p in both],
                               rng=np.random.default_rng(0), statistic="mean")  # fmt: skip
    key = f"forecast_gain_on_{baseline}_{metric}"
    return {key: found.estimate or 0.0, f"{key}_low": found.low or 0.0,
            f"{key}_high": found.high or 0.0}  # fmt: skip


def markdown(result: Mapping[str, float]) -> str:
    """The methods' table and the fitted order's gains."""
    lines = ["| method | " + " | ".join(SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for method in (*BASELINES, OURS):
        cells = [result.get(f"forecast_{method}_{m}") for m in SHOWN]
        shown = " | ".join("-" if c is None else f"{c:.4f}" if abs(c) < 0.1 else f"{c:.3f}"
                           for c in cells)  # fmt: skip
        lines.append(f"| {method} | {shown} |")
    lines += ["", "| gain on | " + " | ".join(SHOWN) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for baseline in BASELINES:
        keys = [f"forecast_gain_on_{baseline}_{m}" for m in SHOWN]
        cells = [f"{result[k]:+.4f} ({result[k + '_low']:+.4f} to {result[k + '_high']:+.4f})"
                 for k in keys]  # fmt: skip
        lines.append(f"| {baseline} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, default=16, help="of the test split")
    parser.add_argument("--validation", type=int, default=10, help="patients of the spreads")
    parser.add_argument("--prior", type=int, default=60, help="patients of the size prior")
    parser.add_argument("--voxel-mm", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    kept = args.out / "forecasts"
    kept.mkdir(parents=True, exist_ok=True)
    console = Console()
    prior = phantom_prior(kept / "prior.json", patients=args.prior, workers=args.workers)
    spec = PhantomSpec(voxel_mm=args.voxel_mm)
    validation = [case for key in spec.patients("val")[: args.validation]
                  for case, _ in pairs(spec, key, prior)]  # fmt: skip
    spreads = fitted_spreads(validation)
    console.print(f"{len(validation)} validation pairs: {spreads[OURS]}")
    rows: list[Row] = []
    for key in spec.patients("test")[: args.patients]:
        path = kept / f"{key.name}.json"
        if not path.exists():
            found = [scored(c, f, spreads) for c, f in pairs(spec, key, prior)]
            write_json(path, [row for case in found for row in case])
        rows += read_json(path)
        console.print(f"{key.name}: {len(rows) // (3 + len(spreads))} pairs so far")
    result = summed(rows)
    (args.out / "forecasts.md").write_text(markdown(result))
    console.print((args.out / "forecasts.md").read_text(), markup=False)
    shared = args.out / "result.json"
    write_json(shared, (read_json(shared) if shared.is_file() else {}) | result)


if __name__ == "__main__":
    main()

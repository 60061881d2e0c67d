"""Real pairs at forecast sizes: the first visit alone gives the size, every method its growth map.

    python experiments/where_real/forecast_sizes.py OUT [--patients N]

Sizes come from the packaged prior (other patients, another centre), below the 90th percentile as in
the paper. Threshold and recalibration of each method are chosen by the other patients of its data
set. Leaves maps.csv, sizes.csv, table.md, result.json and leaderboard.html.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pairs import btp, root, ucsf
from rich.console import Console

from mechlearn.data.patients_table import read_patients, with_patients
from mechlearn.data.size_table import read_series
from mechlearn.evaluation.baseline_maps import sizes_below
from mechlearn.evaluation.map_boards import CHOICE, method_boards
from mechlearn.evaluation.map_cases import MapCase
from mechlearn.evaluation.map_comparison import MapScores, leave_one_out
from mechlearn.evaluation.map_summary import gains, method_lines
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.scored_case import ForecastCase, arrival_maps
from mechlearn.files import write_json
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.metrics.size_scores import crps, interval_covers
from mechlearn.records import SizeForecast, SizeReading, SizeSeries
from mechlearn.report.leaderboard import Board, board_table, write_leaderboard
from mechlearn.spatial.volume_baselines import heat_map

BELOW_PERCENTILE = 90.0  # section 3.3
GROWING = 1.1  # of the first size
# Days between the two visits of TCIA Brain-Tumor-Progression, from its table.
BTP_DAYS = {"01": 157.0, "02": 63.0, "03": 415.0, "04": 29.0, "05": 55.0, "06": 58.0}
METHODS = {"dilation": "dilation_in_brain", "heat_kernel": "heat_kernel",
           "fisher_kpp": "fisher_kpp", "travel_time": "travel_time",
           "arrival_order": "arrival_order"}  # fmt: skip
HOW = (
    f"Real masks. The size is forecast from the first visit with the packaged prior. {CHOICE} of "
    "each patient come from the other patients of the same data set."
)


def size(mask: np.ndarray, case: ForecastCase) -> float:
    return float(mask.sum()) * float(np.prod(case.spacing_mm))


def forecast_ucsf(folder: Path) -> Callable[[ForecastCase], SizeForecast]:
    """Forecasts of whole volumes: day and covariates of the cohort's tables, first visit seen."""
    table = read_series(folder / "growth" / "ucsf_alptdg_whole.csv").timelines
    facts = read_patients(folder / "growth" / "ucsf_alptdg_patients.csv")
    series = {s.patient: s for s in with_patients(table, facts)}

    def made(case: ForecastCase) -> SizeForecast:
        known = series[case.patient]
        first = SizeReading(known.visits[0].day, size(case.last, case))
        return forecast_size(replace(known, visits=(first,)), known.visits[-1].day)

    return made


def forecast_btp(case: ForecastCase) -> SizeForecast:
    """Forecast of a slice's area."""
    first = (SizeReading(0.0, size(case.last, case)),)
    return forecast_size(SizeSeries(case.patient, case.patient, first, unit="mm2"),
                         BTP_DAYS[case.patient])  # fmt: skip


def scored(
    cases: Sequence[ForecastCase], forecast: Callable[[ForecastCase], SizeForecast],
    sizes: list[Row], say: Callable[[str], None],
) -> MapScores:  # fmt: skip
    """Scores of all methods; a row a case about its size is added to `sizes`."""

    def mapped() -> Iterator[MapCase]:
        for number, case in enumerate(cases):
            made, true, now = forecast(case), size(case.truth, case), size(case.last, case)
            name = f"{case.patient}_{number}"
            sizes.append({
                "slice_id": name, "patient": case.patient, "growth": true / now,
                "median_growth": made.median / now, "true": true,
                "crps": crps(made.samples, true), "crps_no_change": abs(true - now),
                "covered": interval_covers(made.interval(0.95), true),
            })  # fmt: skip
            say(f"{case.patient}: {number + 1} of {len(cases)}")
            yield MapCase(name, case.patient, case.last, case.truth, case.where, case.spacing_mm,
                          growth_maps(case, sizes_below(made, BELOW_PERCENTILE)), case.last,
                          case.truth, {})  # fmt: skip

    return leave_one_out(list(mapped()))


def growth_maps(case: ForecastCase, kept: SizeForecast) -> dict[str, np.ndarray]:
    """Exact growth maps of all methods from one forecast, each an order of voxels."""
    maps = arrival_maps(case, float(kept.samples.max()))
    maps["heat_kernel"] = heat_map(case.last, case.where, case.spacing_mm, size=kept.median)
    found = {name: replace(maps[source], spread=None).growth_map(kept).probability
             for name, source in METHODS.items()}  # fmt: skip
    return {"no_change": case.last.astype(np.float32),
            **{name: p.astype(np.float32) for name, p in found.items()}}  # fmt: skip


def joined(parts: Sequence[MapScores]) -> MapScores:
    """All rows, and the bins of all patients."""
    out = MapScores()
    for part in parts:
        out.rows.extend(part.rows)
        for method, bins in part.bins.items():
            out.bins.setdefault(method, {}).update(bins)
    return out


def only(scores: MapScores, names: set[str]) -> MapScores:
    """Rows of some cases; bins of their patients."""
    rows = [r for r in scores.rows if r["slice_id"] in names]
    patients = {r["patient"] for r in rows}
    return MapScores(rows, {m: {p: b for p, b in bins.items() if p in patients}
                            for m, bins in scores.bins.items()})  # fmt: skip


def tables(group: str, scores: MapScores) -> tuple[list[Row], list[Row], list[Board]]:
    """Lines, gains and boards of one group of cases."""
    lines, found = method_lines(scores), gains(scores)
    counts = f"{lines[0]['n_slices']} cases of {lines[0]['n_patients']} patients"
    boards = method_boards(lines, found, counts, HOW)
    return lines, found, [replace(b, title=f"{group}: {b.title}") for b in boards]


def flat(group: str, rows: Sequence[Row], word: str = "") -> dict[str, Any]:
    return {f"{group}_{word}{row['method']}_{k}": v for row in rows for k, v in row.items()
            if isinstance(v, (int, float)) and not isinstance(v, bool)}  # fmt: skip


def size_scores(group: str, rows: Sequence[Row]) -> dict[str, float]:
    """How good the sizes were: every patient weighs alike."""
    def mean(key: Callable[[Row], float]) -> float:
        by_patient: dict[str, list[float]] = {}
        for row in rows:
            by_patient.setdefault(str(row["patient"]), []).append(key(row))
        return float(np.mean([np.mean(v) for v in by_patient.values()]))

    return {
        f"{group}_size_crps_relative": mean(lambda r: r["crps"] / r["true"]),
        f"{group}_size_crps_relative_no_change": mean(lambda r: r["crps_no_change"] / r["true"]),
        f"{group}_size_covered": mean(lambda r: float(r["covered"])),
        f"{group}_median_growth": mean(lambda r: r["median_growth"]),
        f"{group}_true_growth": mean(lambda r: r["growth"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=int, help="of each data set; all by default")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    console, folder = Console(), root()
    sizes: list[Row] = []
    flat_cases = btp(folder)
    names = sorted({c.patient for c in flat_cases})[: args.patients]
    flat_cases = [c for c in flat_cases if c.patient in names]
    parts = [
        scored(flat_cases, forecast_btp, sizes, console.print),
        scored(ucsf(folder, limit=args.patients), forecast_ucsf(folder), sizes, console.print),
    ]
    everything = joined(parts)
    growing = {str(r["slice_id"]) for r in sizes if r["growth"] > GROWING}
    groups = {"all": everything, "growing": only(everything, growing), "ucsf": parts[1],
              "btp": parts[0]}  # fmt: skip
    write_table(args.out / "maps.csv", everything.rows, first=("slice_id", "patient", "method"))
    write_table(args.out / "sizes.csv", sizes, first=("slice_id", "patient"))
    result: dict[str, Any] = {}
    boards: list[Board] = []
    for group, scores in groups.items():
        lines, found, more = tables(group, scores)
        boards += more
        held = {r["slice_id"] for r in scores.rows}
        result |= flat(group, lines) | flat(group, found, "over_")
        result |= size_scores(group, [r for r in sizes if r["slice_id"] in held])
    write_json(args.out / "result.json", result)
    write_leaderboard(args.out / "leaderboard.html", title="Real pairs at forecast sizes",
                      boards=boards, commands=[f"python {__file__} {args.out}"])  # fmt: skip
    (args.out / "table.md").write_text("\n".join(line for b in boards for line in markdown(b)))
    console.print((args.out / "table.md").read_text(), markup=False)


def markdown(board: Board) -> list[str]:
    table = board_table(board)
    return [board.title, "", f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|",
            *(f"| {' | '.join(row)} |" for row in table.rows), "", table.caption, ""]  # fmt: skip


if __name__ == "__main__":
    main()

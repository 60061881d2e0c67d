"""Size forecasts on real cohorts: python experiments/sizes_real/compare_cohorts.py OUT smoke|full.

Writes result.json (what expected.json bounds) and tables.txt. Reads `growth/` below
MECHLEARN_REAL_DATA (default ../shared/data); does nothing where it is not there.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console

from mechlearn.data.patients_table import complete
from mechlearn.data.size_table import read_series
from mechlearn.evaluation.comparison_table import SCORES, SizeComparison
from mechlearn.evaluation.size_comparison import MODELS, compare
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.growth.size_history import COMPANION, COVARIATES
from mechlearn.growth.size_prior import MECHANISTIC
from mechlearn.growth.size_prior_fit import LearnedSpec
from mechlearn.records import SizeReading, SizeSeries

FOLDER = Path(os.environ.get("MECHLEARN_REAL_DATA", "../shared/data")) / "growth"
# cohort -> sizes, another compartment, patients table
FILES = {
    "mu_flair": ("mu_glioma_post_flair", "mu_glioma_post_enhancing", "mu_glioma_post_patients"),
    "mu_enhancing": ("mu_glioma_post_enhancing", "mu_glioma_post_flair",
                     "mu_glioma_post_patients"),
    "lumiere_total": ("lumiere_hdglio_total", "lumiere_hdglio_enhancing", None),
    "lumiere_enhancing": ("lumiere_hdglio_enhancing", "lumiere_hdglio_total", None),
    "ucsf": ("ucsf_alptdg_whole", None, "ucsf_alptdg_patients"),
}  # fmt: skip
MOST_RT_DAYS = 5000.0
ALL = LearnedSpec().features
ABLATIONS = {
    "all of it": LearnedSpec(),
    "without the growth model": LearnedSpec(features=tuple(f for f in ALL if f not in MECHANISTIC)),
    "without treatments and covariates":
        LearnedSpec(features=tuple(f for f in ALL if f not in (*COVARIATES, "since_rt"))),
    "with the other compartment": LearnedSpec(features=(*ALL, *COMPANION)),
    "without stacking": LearnedSpec(stack=False),
    "a third of the weight on the last visit": LearnedSpec(last_share=1 / 3),
}  # fmt: skip
LEARNING, SIMPLE = MODELS[:3], MODELS[3:]
RESULT = ("crps_relative", "crps_log", "nrmse", "covered")
# Of external validation: carry-forward has the interval of the prior's cohort.
OUTSIDE = {"lumiere_total": "flair", "lumiere_enhancing": "enhancing", "ucsf": "flair"}


def cohort(name: str) -> tuple[SizeSeries, ...]:
    """Series of a cohort with what is known of its patients."""
    if name == "laleh":
        return laleh()
    sizes, other, patients = (p and FOLDER / f"{p}.csv" for p in FILES[name])
    assert sizes is not None
    with TemporaryDirectory() as scratch:
        found = read_series(plausible(sizes, Path(scratch))).timelines
    return complete(found, companion=other, patients=patients)


def plausible(path: Path, scratch: Path) -> Path:
    """A copy of a table without radiotherapy days that lie years away: some of UCSF's are wrong."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if abs(float(row["rt_start_day"] or 0)) > MOST_RT_DAYS:
            row["rt_start_day"] = ""
    copy = scratch / path.name
    with copy.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return copy


def laleh() -> tuple[SizeSeries, ...]:
    """Lesions of Laleh 2022 with two readings or more; `Pt_hashID` is patient-lesion."""
    found: dict[str, list[SizeReading]] = defaultdict(list)
    with (FOLDER / "laleh_lesions.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["Pt_hashID"]].append(
                SizeReading(float(row["T_days"]), float(row["Lesion_vol"]))
            )
    return tuple(
        SizeSeries(name, name.rpartition("-")[0], tuple(sorted(v, key=lambda r: r.day)),
                   unit="mm3")
        for name, v in sorted(found.items()) if len(v) > 1
    )  # fmt: skip


def scores(found: SizeComparison) -> dict[str, float]:
    """`<score>_<model>` and the two CRPS over cohort ratio's, without intervals."""
    out = {}
    for score in RESULT:
        middle = np.median if SCORES[score][0] == "median" else np.mean
        for model in found.models:
            out[f"{score}_{model}"] = float(middle(list(found.values(model, score).values())))
            if score in RESULT[:2]:
                ratio = out[f"{score}_{model}"] / np.mean(
                    list(found.values("cohort_ratio", score).values()))  # fmt: skip
                out[f"{score}_{model}_over_cohort_ratio"] = float(ratio)
    return out


def mean(found: Sequence[SizeComparison]) -> dict[str, float]:
    """Scores averaged over seeds of the folds."""
    rows = [scores(f) for f in found]
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}


def cross_fitted(names: Sequence[str], seeds: int, lines: list[str]) -> dict[str, float]:
    """Every cohort with models of its own, patients apart."""
    result: dict[str, float] = {}
    for name in names:
        series = cohort(name)
        count = 1 if name == "laleh" else seeds
        found = [compare(series, models=LEARNING, seed=seed) for seed in range(count)]
        simple = compare(series, models=SIMPLE, seed=0)
        first = SizeComparison((*found[0].rows, *simple.rows), MODELS, found[0].unit)
        lines += [f"== {name}, cross-fitted, folds of seed 0", first.table(), ""]
        row = mean(found)
        row["nrmse_over_carry_forward"] = row["nrmse_learned"] / row["nrmse_carry_forward"]
        spread = [scores(f)["crps_relative_learned_over_cohort_ratio"] for f in found]
        lines += [
            f"{name}, mean over {count} seeds of folds: " + ", ".join(
                f"{k} {row[k]:.3f}" for k in (
                    "crps_relative_learned_over_cohort_ratio",
                    "crps_log_learned_over_cohort_ratio", "nrmse_learned", "nrmse_carry_forward",
                    "covered_learned")
            ) + f"; relative from {min(spread):.3f} to {max(spread):.3f}", "",
        ]  # fmt: skip
        result |= {f"{name}_{k}": v for k, v in row.items()}
    return result


def outside(lines: list[str]) -> dict[str, float]:
    """The packaged prior, applied unchanged to other cohorts."""
    result: dict[str, float] = {}
    for name, kind in OUTSIDE.items():
        found = compare(cohort(name), models=LEARNING, prior=load_size_prior("glioma", kind))
        lines += [f"== {name}, packaged prior of MU-Glioma-Post, unchanged", found.table(), ""]
        row = scores(found)
        for score in RESULT[:2]:
            row[f"{score}_over_carry_forward"] = (
                row[f"{score}_learned"] / row[f"{score}_carry_forward"]
            )
        result |= {f"outside_{name}_{k}": v for k, v in row.items()}
    return result


def ablations(seeds: int, lines: list[str]) -> dict[str, float]:
    """What each part is worth, as a share of the cohort ratio's score, mean over seeds."""
    result: dict[str, float] = {}
    keys = ("crps_relative_learned_over_cohort_ratio", "crps_log_learned_over_cohort_ratio",
            "covered_learned")  # fmt: skip
    for name in ("mu_flair", "lumiere_total"):
        series = cohort(name)
        lines.append(f"== {name}: CRPS relative and of the log over cohort ratio's, coverage")
        for label, spec in ABLATIONS.items():
            row = mean([
                compare(series, models=LEARNING[:2], learned=spec, seed=seed)
                for seed in range(seeds)
            ])
            lines.append(f"{label:<36}" + "".join(f"{row[k]:8.3f}" for k in keys))
            result[f"ablation_{name}_{label.replace(' ', '_')}"] = row[keys[0]]
        lines.append("")
    return result


def main(out: Path, profile: str) -> None:
    if not FOLDER.is_dir():
        Console().print(f"sizes_real: no {FOLDER}; nothing is compared. Set MECHLEARN_REAL_DATA.")
        return
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    full, lines = profile == "full", list[str]()
    result = cross_fitted((*FILES, *(("laleh",) if full else ())), 3 if full else 1, lines)
    result |= outside(lines)
    if full:
        result |= ablations(3, lines)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tables.txt").write_text("\n".join(lines))
    (out / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    Console(width=180).print("\n".join(lines), markup=False, highlight=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

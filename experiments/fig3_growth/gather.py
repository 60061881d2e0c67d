"""Rows of the runs -> result.json: python experiments/fig3_growth/gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

BASELINES = ("carry_forward", "linear", "exponential")
SCORES = ("nrmse_median", "crps_relative_mean", "coverage_95")
VISITS = (4, 5, 6, 7)


def scores(row: dict[str, Any], suffix: str = "") -> dict[str, float | None]:
    """Scores of the law, or of the baseline that the suffix names, with their intervals."""
    ends = [f"{key}_{end}" for key in SCORES for end in ("low", "high")]
    keys = [*SCORES, *ends, *(f"nrmse_median_v{n}" for n in VISITS)]
    found = {key: row.get(f"{key}{suffix}") for key in keys}
    return {key: value for key, value in found.items() if value is not None}


def main(folder: Path) -> None:
    result: dict[str, float | None] = {}
    table = Table("cohort", "law", "slices", "nRMSE", "95%", "CRPS", "coverage",
                  *(f"{n} visits" for n in VISITS))  # fmt: skip
    for path in sorted(folder.rglob("row.json")):
        row = json.loads(path.read_text())
        cohort = path.relative_to(folder).parts[0]
        names = {row["law"]: "", **{baseline: f"_{baseline}" for baseline in BASELINES}}
        for law, suffix in names.items():
            key = f"{cohort}_{law}"
            if key + "_nrmse_median" in result:
                continue  # a baseline stands in every row
            held = scores(row, suffix)
            result |= {f"{key}_{name}": value for name, value in held.items()}
            result[f"{key}_n_slices"] = row["n_slices"]
            low, high = held.get("nrmse_median_low"), held.get("nrmse_median_high")
            table.add_row(
                cohort, law, str(row["n_slices"]), *(f"{held[key]:.3f}" for key in SCORES[:1]),
                f"{low:.3f} to {high:.3f}", *(f"{held[key]:.3f}" for key in SCORES[1:]),
                *(f"{held.get(f'nrmse_median_v{n}', float('nan')):.3f}" for n in VISITS),
            )  # fmt: skip
        if row["law"] == "pooled":
            shares = {"nrmse": "nrmse_median", "crps": "crps_relative_mean"}
            shares |= {f"nrmse_v{n}": f"nrmse_median_v{n}" for n in VISITS}
            for short, key in shares.items():
                if row.get(key) is not None:
                    best = min(row[f"{key}_{baseline}"] for baseline in BASELINES)
                    result[f"{cohort}_{short}_over_best_baseline"] = row[key] / best
    Console(width=140).print(table)
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    (folder / "result.json").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Rows of the runs -> result.json: how the losses fell, response to requested sizes.

python experiments/brats_cases/gather.py outputs/experiments/brats_cases
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from statistics import fmean


def losses(folder: Path, key: str) -> list[float]:
    """A column of Lightning's metrics.csv, where it is filled."""
    with (folder / "csv" / "metrics.csv").open() as lines:
        return [float(row[key]) for row in csv.DictReader(lines) if row.get(key)]


def main(out: Path) -> None:
    result: dict[str, float | None] = {}
    for kind in ("ddpm", "regressor", "segmenter"):
        train = losses(out / f"train_{kind}", "train/mse" if kind == "ddpm" else "train/loss")
        third = max(len(train) // 3, 1)  # noise levels are drawn anew: single steps say little
        result[f"{kind}_train_loss_ratio"] = fmean(train[-third:]) / fmean(train[:third])
        val = losses(out / f"train_{kind}", "val/loss")
        result[f"{kind}_val_loss_ratio"] = val[-1] / val[0]
    row = json.loads((out / "sizes" / "row.json").read_text())
    keys = ("spearman", "achieved_ratio_at_1.5x", "guide_ratio_at_1.5x", "ssim_outside",
            "unguided_ratio_median", "guide_gain", "n_slices")
    result |= {key: row[key] for key in keys}
    (out / "result.json").write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

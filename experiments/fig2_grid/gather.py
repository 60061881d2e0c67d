"""The collected grids -> result.json, and a table of cells: gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mechlearn.evaluation.rows import read_table

CELL = ("relative_error_abs", "requested_share", "ssim_inside", "ssim_outside", "drift_outside",
        "change_inside_share", "hyperintense_fraction")  # fmt: skip
MASKS = ("dice_generation", "dice_generation_at_size", "dice_no_change", "dice_dilation",
         "hd95_generation_mm", "hd95_generation_at_size_mm", "hd95_no_change_mm",
         "hd95_dilation_mm", "n_undefined_hd95_generation_mm", "flair_threshold_dice")  # fmt: skip


def shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "-"


def gather(cohort: str, folder: Path) -> dict[str, float | None]:
    """Flat keys of one collected sweep, its cohort in front."""
    summary = json.loads((folder / "grid.json").read_text())
    rows = read_table(folder / "table.csv")
    table = Table("NL", "s_R", *CELL, "Dice", "dilation", title=f"{cohort}, {len(rows)} cells")
    worst = max(r["changed_outside_brain_fraction"] for r in rows)
    found = {**summary, "n_pairs": rows[0]["n_pairs"], "n_patients": rows[0]["n_patients"],
             "changed_outside_brain_fraction": worst}  # fmt: skip
    for row in sorted(rows, key=lambda r: (r["noise_level"], r["scale"])):
        cell = f"nl{row['noise_level']}_{row['scale'] / 1000:g}k"
        found |= {f"{cell}_{key}": row[key] for key in CELL}
        table.add_row(
            str(row["noise_level"]), f"{row['scale']:g}", *(shown(row[key]) for key in CELL),
            shown(row.get("dice_generation")), shown(row.get("dice_dilation")),
        )  # fmt: skip
        if (row["noise_level"], row["scale"]) == (
            summary.get("choice_noise_level"), summary.get("choice_scale")
        ):  # fmt: skip
            found |= {f"choice_{key}": row[key] for key in MASKS if key in row}
    Console(width=160).print(table)
    return {f"{cohort}_{key}": value for key, value in found.items()}


def main(out: Path) -> None:
    result: dict[str, float | None] = {}
    for cohort in ("phantom", "brats"):
        if (out / cohort / "grid.json").is_file():
            result |= gather(cohort, out / cohort)
    (out / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The collected leaderboard -> result.json, and its tables as Markdown: gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mechlearn.evaluation.rows import read_table

KEYS = ("hd95_mm", "dice", "hd95_alone_mm", "dice_alone", "average_precision", "brier",
        "brier_skill", "ece")  # fmt: skip
GAINS = ("hd95_mm_gain", "dice_gain", "average_precision_gain")
P = "hd95_mm_vs_no_change_p"


def shown(row: dict[str, Any], key: str, digits: int = 3) -> str:
    value, low, high = (row.get(f"{key}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    ends = "" if low is None else f" ({low:.{digits}f} to {high:.{digits}f})"
    empty = f", {row[f'{key}_empty']} empty" if row.get(f"{key}_empty") else ""
    return f"{value:.{digits}f}{ends}{empty}"


def table(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[str]:
    lines = [f"| method | {' | '.join(keys)} |", "|" + "---|" * (len(keys) + 1)]
    for row in rows:
        cells = [shown(row, k, 2 if "hd95" in k else 4 if k in ("brier", "ece") else 3)
                 for k in keys]  # fmt: skip
        lines.append(f"| {row['method']} | {' | '.join(cells)} |")
    return lines


def main(out: Path) -> None:
    methods, gains = read_table(out / "maps_methods.csv"), read_table(out / "maps_gains.csv")
    result: dict[str, Any] = {k: methods[0][k] for k in ("n_slices", "n_patients")}
    for row in methods:
        keys = (*KEYS, "brier_skill_low", "threshold", "threshold_alone", f"{P}_slices",
                f"{P}_patients", "hd95_alone_mm_empty")  # fmt: skip
        result |= {f"{row['method']}_{key}": row[key] for key in keys if row.get(key) is not None}
    for row in gains:
        for key in GAINS:
            result |= {f"over_{row['method']}_{key}{end}": row[f"{key}{end}"]
                       for end in ("", "_low", "_high")}  # fmt: skip
    (out / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    lines = [*table(methods, KEYS), "", *table(gains, GAINS)]
    (out / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

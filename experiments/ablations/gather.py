"""The collected multiruns -> result.json and one table: gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mechlearn.evaluation.rows import read_table

SHOWN = {  # multirun -> methods that it compares, by the start of their names
    "encode": ("dynamic",), "votes": ("dynamic",), "guide": ("dynamic",),
    "sampler": ("dynamic", "static", "arrival_order"),
    "sizes": ("arrival_order", "dilation"),
}  # fmt: skip
KEYS = ("dice", "hd95_mm", "average_precision", "brier_raw")


def shown(row: dict[str, Any], key: str) -> str:
    digits = {"hd95_mm": 2, "brier_raw": 4}.get(key, 3)
    if row.get(key) is None:
        return "-"
    text = f"{row[key]:.{digits}f}"
    if row.get(f"{key}_low") is not None:
        text += f" ({row[f'{key}_low']:.{digits}f} to {row[f'{key}_high']:.{digits}f})"
    return text


def main(out: Path) -> None:
    result: dict[str, Any] = {}
    lines = [f"| multirun | method | {' | '.join(KEYS)} |", "|" + "---|" * (len(KEYS) + 2)]
    for name, methods in SHOWN.items():
        path = out / name / "maps_methods.csv"
        if not path.is_file():
            continue
        for row in read_table(path):
            if not str(row["method"]).startswith(methods):
                continue
            lines.append(f"| {name} | {row['method']} | "
                         f"{' | '.join(shown(row, key) for key in KEYS)} |")  # fmt: skip
            slug = "".join(c if c.isalnum() else "_" for c in f"{name}_{row['method']}").strip("_")
            result |= {f"{slug}_{key}": row.get(key) for key in KEYS}
            result[f"{name}_n_slices"] = row["n_slices"]
    (out / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    (out / "table.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

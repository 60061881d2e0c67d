"""The collected multiruns -> result.json and two tables: gather.py FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.evaluation.rows import read_table
from mechlearn.evaluation.sweeps import swept_words
from mechlearn.metrics.rank import clustered_interval

# Folder -> (method and swept word of the one that others are compared with; starts of those shown).
TABLES = {
    "maps": ("dynamic", "encode=invert", ("dynamic", "static", "arrival_order", "travel_time")),
    "sizes": ("arrival_order", "growth=pooled", ("arrival_order",)),
}
KEYS = {"hd95_mm": (2, -1), "dice": (3, 1), "average_precision": (3, 1)}  # digits, sign of better
N_RESAMPLES, SEED = 2000, 0


def differences(path: Path, base: str) -> dict[str, dict[str, tuple[float, float, float]]]:
    """method -> score -> gain on `base` with its 95% interval, patients resampled."""
    rows = read_table(path)
    first = {r["slice_id"]: r for r in rows if r["method"] == base}
    out: dict[str, dict[str, tuple[float, float, float]]] = {}
    for method in dict.fromkeys(str(r["method"]) for r in rows):
        own = [r for r in rows if r["method"] == method]
        out[method] = {key: gain(own, first, key) for key in KEYS}
    return out


def gain(own: list[dict[str, Any]], first: dict[Any, dict[str, Any]], key: str) -> Any:
    pairs = [(value(r, key), value(first[r["slice_id"]], key), str(r["patient"])) for r in own]
    known = [(a, b, p) for a, b, p in pairs if a is not None and b is not None]
    if not known:
        return None
    found = clustered_interval([KEYS[key][1] * (a - b) for a, b, _ in known],
                               [p for _, _, p in known], statistic="mean",
                               rng=np.random.default_rng(SEED),
                               n_resamples=N_RESAMPLES)  # fmt: skip
    return found.estimate, found.low, found.high


def value(row: dict[str, Any], key: str) -> float | None:
    """A score; an undefined distance counts as the longest in the brain."""
    found = row[key]
    if found is None and key.startswith("hd95"):
        found = row["worst_mm"]
    return None if found is None else float(found)


def shown(row: dict[str, Any], key: str) -> str:
    digits = KEYS[key][0]
    return "-" if row.get(key) is None else f"{row[key]:.{digits}f}"


def interval(found: Any, digits: int) -> str:
    return "-" if found is None else "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*found, d=digits)


def main(out: Path) -> None:
    result: dict[str, Any] = {}
    lines: list[str] = []
    for name, (method, word, methods) in TABLES.items():
        rows = read_table(out / name / "maps_methods.csv")
        names = [str(row["method"]) for row in rows]
        base = next(n for n in names if n.startswith(method) and word in n)
        gains = differences(out / name / "maps.csv", base)
        lines += [f"| {name} | {' | '.join(KEYS)} | {' | '.join('gain in ' + k for k in KEYS)} |",
                  "|" + "---|" * (2 * len(KEYS) + 1)]  # fmt: skip
        for row in rows:
            method = str(row["method"])
            if not method.startswith(methods):
                continue
            cells = [shown(row, key) for key in KEYS]
            cells += ["" if method == base else interval(gains[method][key], KEYS[key][0])
                      for key in KEYS]  # fmt: skip
            lines.append(f"| {method} | {' | '.join(cells)} |")
            slug = "_".join("".join(c if c.isalnum() else " " for c in method).split())
            for key in KEYS:
                result[f"{name}_{slug}_{key}"] = row.get(key)
                if gains[method][key] is not None:
                    ends = zip(("", "_low", "_high"), gains[method][key], strict=True)
                    result |= {f"{name}_{slug}_{key}_gain{end}": number for end, number in ends}
        result |= {f"{name}_n_slices": rows[0]["n_slices"],
                   f"{name}_n_patients": rows[0]["n_patients"]}  # fmt: skip
        lines += ["", *pictures(out / name / "table.csv"), ""]
    (out / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    (out / "table.md").write_text("\n".join(lines))


def pictures(path: Path) -> list[str]:
    """What each job's generations look like, and what they cost."""
    keys = ("ssim_inside_mean", "ssim_outside_mean", "nrmse_median", "crps_mm2_mean", "seconds")
    lines = [f"| job | {' | '.join(keys)} |", "|" + "---|" * (len(keys) + 1)]
    rows = read_table(path)
    for row in rows:
        cells = ["-" if row.get(k) is None else f"{row[k]:.4g}" for k in keys]
        lines.append(f"| {swept_words(row, rows)} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))

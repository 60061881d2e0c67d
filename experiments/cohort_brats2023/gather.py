"""What preparing the cohort took and gave -> result.json.

python experiments/cohort_brats2023/gather.py outputs/experiments/cohort_brats2023
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from mechlearn.data.store import SliceStore


def gather(out: Path) -> dict[str, float]:
    lines = (line.split() for line in (out / "times").read_text().splitlines())
    result = {key: float(value) for key, value in lines}
    start = time.perf_counter()
    store = SliceStore(out / "stores" / "whole")
    rows = store.slices()
    result["open_s"] = time.perf_counter() - start
    sizes = {name: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
             for name, folder in (("store", store.root), ("cohort", out / "cohort"))}  # fmt: skip
    visits = [v for p in store.patients() for v in store.visits(p)]
    return result | json.loads((out / "kills.json").read_text()) | {
        "patients": len(store.patients()), "visits": len(visits), "slices": len(rows),
        "val_patients": len(store.patients("val")),
        "val_paediatric": sum("-PED-" in p for p in store.patients("val")),
        "prepare_s_per_visit": result["prepare_s"] / len(visits),
        "store_kb_per_slice": sizes["store"] / len(rows) / 1000,
        "cohort_gb": sizes["cohort"] / 1e9, "store_gb": sizes["store"] / 1e9,
    }  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = gather(folder)
    (folder / "result.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    for key, value in found.items():
        Console().print(f"{key} = {value:.4g}", highlight=False)

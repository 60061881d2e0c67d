"""How many slices a second the training loader hands over, and what limits it.

    python experiments/benchmarks/slice_store/loader.py RESULT.json [--cases N] [--seconds S]

Batches of 10 slices of 4 x 256 x 256 as the training run gets them (`SliceDataModule`: in random
order, mirrored, float16 and masks in shared memory), by loader processes, taken and looked at by
one process. Adds its keys to RESULT.json, or makes it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
import warnings
from pathlib import Path

import torch
from rich.console import Console

from mechlearn.data.adapters import find_brats
from mechlearn.data.module import SliceDataModule
from mechlearn.data.preparation import SplitSpec, prepare

HERE = Path(__file__).resolve()
REAL = Path(os.environ.get("MECHLEARN_REAL_DATA", HERE.parents[4] / "shared" / "data"))
WORKERS = (0, 1, 2, 4, 8)
BATCH = 10


def processor_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(root: Path, workers: int, for_s: float) -> tuple[float, float]:
    """(slices a second, share of all cores that was busy with it)."""
    data = SliceDataModule(root, batch_size=BATCH, num_workers=workers, flip=True)
    loader = data.train_dataloader()
    loader.batch_sampler.batches = 10**9
    batches = iter(loader)
    for _ in range(10 + 2 * workers):
        next(batches)
    begun, used, count = time.perf_counter(), processor_s(), 0
    while time.perf_counter() < begun + for_s:
        batch = next(batches)
        batch["image"][:, 0, 0, 0].sum()  # it can be read
        count += BATCH
    seconds = time.perf_counter() - begun
    del batches, loader  # its processes end, and only then is their time known
    busy = (processor_s() - used) / (seconds * len(os.sched_getaffinity(0)))
    return count / seconds, busy


def main() -> None:
    """Prepare the cases, measure every number of workers, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    torch.set_num_threads(1)
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        records = find_brats(REAL / "brats2021")[: given.cases]
        store = prepare(records, Path(folder) / "store", splits=SplitSpec(val=0, test=0))
        for workers in WORKERS:
            rate, busy = measure(store.root, workers, given.seconds)
            found[f"loader_per_s_{workers}_workers"] = rate
            found[f"loader_busy_share_of_cores_{workers}_workers"] = busy
            Console().print(f"{workers} workers: {rate:.0f} slices/s, {busy:.0%} of all cores busy")
    found["cores"] = len(os.sched_getaffinity(0))
    before = json.loads(given.result.read_text()) if given.result.is_file() else {}
    given.result.parent.mkdir(parents=True, exist_ok=True)
    given.result.write_text(json.dumps(before | found, indent=1) + "\n")


if __name__ == "__main__":
    main()

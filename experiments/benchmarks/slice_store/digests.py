"""What the digests of slices cost when training reads them for the first time.

    python experiments/benchmarks/slice_store/digests.py [--cases 3] [--rounds 30]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from loader import REAL
from rich.console import Console

from mechlearn.data.adapters import find_brats
from mechlearn.data.datasets import SliceDataset
from mechlearn.data.preparation import PrepareSpec, SplitSpec, prepare
from mechlearn.data.slices import OpenFiles, SliceFile
from mechlearn.data.store import SliceStore

__all__ = ["digests"]

BATCH = 10
GRIDS = ((256, 1.0), (128, 1.5))  # pixels, mm


def _compared_before(path: Path) -> SliceFile:
    file = SliceFile(path)
    file._compared = bytearray(b"\1") * file.count
    return file


def _seconds(root: Path, *, compare: bool) -> float:
    """Processor time in which the data set hands out every slice of a newly opened store, once."""
    store = SliceStore(root)
    if not compare:
        store._open = OpenFiles(_compared_before)
    data = SliceDataset(store, None)
    start = time.process_time()
    for first in range(0, len(data), BATCH):
        data.__getitems__(list(range(first, min(first + BATCH, len(data)))))
    return time.process_time() - start


def digests(root: Path, rounds: int) -> dict[str, float]:
    """Processor time with digests over that without: the best of the rounds of each, in turn."""
    best = dict.fromkeys((True, False), float("inf"))
    for _ in range(rounds + 1):
        for compare in best:
            best[compare] = min(best[compare], _seconds(root, compare=compare))
    return {"digests_times_reading": best[True] / best[False]}


def main() -> None:
    """Prepare the cases on both grids and print what digests cost there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    records = find_brats(REAL / "brats2021")[: given.cases]
    for size, pixel_mm in GRIDS:
        with tempfile.TemporaryDirectory() as folder:
            spec = PrepareSpec(size=size, pixel_mm=pixel_mm)
            store = prepare(records, Path(folder) / "s", spec=spec, splits=SplitSpec(val=0, test=0))
            Console().print(f"{size} px: {digests(store.root, given.rounds)}")


if __name__ == "__main__":
    main()

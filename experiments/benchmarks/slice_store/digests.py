"""What the digests of slices cost when a visit is read."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from mechlearn.data.slices import NAME, SliceFile

__all__ = ["digests"]


def digests(visits: int, root: Path, rounds: int) -> dict[str, float]:
    """Processor time of reading whole visits for the first time, with digests over without.

    The same visits in the same format, once with their digests and once as version 0.1 wrote them.
    """
    files = [[root / str(i) / name / NAME for i in range(visits)]
             for name in ("store", "blosc2_lz4hc_5")]  # fmt: skip
    ratios = []
    for _ in range(rounds + 1):
        took = []
        for paths in files:
            start = time.process_time()
            for path in paths:
                file = SliceFile(path)
                image = np.empty((file.channels, *file.shape), np.float16)
                masks = np.empty(file.shape, np.uint16)
                for row in range(file.count):
                    file.image(row, image)
                    file.masks(row, masks)
            took.append(time.process_time() - start)
        ratios.append(took[0] / took[1])
    return {"digests_times_reading": float(np.median(ratios[1:]))}

"""Ten cases at four sizes, FLAIR and T1 with contrast, in one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from cases import Task, growth

from mechlearn.records import AxialSlice

SIZES = (1.25, 1.5, 2.0)
SHOWN = ((3, "FLAIR"), (1, "T1c"))


def write_sheet(
    path: Path, scans: Sequence[AxialSlice], draw: Callable[[AxialSlice, Task], np.ndarray]
) -> None:
    """A row a case: the scan and the drawn sizes, first in FLAIR, then in T1c."""
    wide = len(SHOWN) * (len(SIZES) + 1)
    figure, axes = plt.subplots(len(scans), wide, figsize=(1.6 * wide, 1.9 * len(scans)),
                                squeeze=False)
    for row, scan in zip(axes, scans, strict=True):
        images = [scan.image, *(draw(scan, growth(scan, size)) for size in SIZES)]
        rows, columns = (np.flatnonzero(scan.brain.any(d)) for d in (1, 0))
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        for place, axis in enumerate(row):
            channel, name = SHOWN[place // len(images)]
            number = place % len(images)
            top = np.percentile(scan.image[channel][scan.brain], 99.5)
            axis.imshow(images[number][channel][part], cmap="gray", vmin=-1, vmax=top)
            axis.set_axis_off()
            size = "scan" if number == 0 else f"x{SIZES[number - 1]:g}"
            axis.set_title(f"{name} {size}", fontsize=7)
    figure.subplots_adjust(0, 0, 1, 0.97, 0.01, 0.15)
    figure.savefig(path, dpi=110)
    plt.close(figure)

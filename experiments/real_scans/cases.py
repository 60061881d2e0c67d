"""Slices of real scans, and the two tasks that pictures of them are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mechlearn.data.selection import equally_spaced
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.slice_guess import growing_room
from mechlearn.records import AxialSlice
from mechlearn.spatial.label_transport import transported_labels
from mechlearn.spatial.regions import dilate_to_area
from mechlearn.spatial.tissue import without_tumour

KEPT = 0.7  # of a tumour's area, by depth, from which its outer band is grown again
LEAST_MM2 = 400.0  # of tumour in a slice


@dataclass(frozen=True)
class Task:
    """A scan with labels `before`, which is to be drawn with labels `after` in `band`; `truth`
    (C, H, W) where it is known."""

    scan: np.ndarray
    before: np.ndarray
    after: np.ndarray
    band: np.ndarray
    truth: np.ndarray | None = None


def slices(store: SliceStore, patients: Sequence[str], count: int) -> list[AxialSlice]:
    """`count` equally spaced tumour slices of each patient."""
    out = []
    for patient in patients:
        rows = {row.z: row for row in store.slices(patient=patient)
                if row.tumour_area_mm2 >= LEAST_MM2}
        out += [store.read(rows[z]) for z in equally_spaced(list(rows), count)]
    return out


def regrowth(scan: AxialSlice) -> Task:
    """The outer band of the tumour replaced by the tissue around, to be drawn again."""
    depth = ndimage.distance_transform_edt(scan.tumour)
    order = np.sort(depth[scan.tumour])
    inner = scan.tumour & (depth > order[int((1 - KEPT) * order.size)])
    tissue = without_tumour(scan.image, scan.tumour, scan.brain)
    start = np.where(inner, scan.image, tissue)
    before = np.where(inner, scan.labels, 0).astype(np.uint8)
    return Task(start, before, scan.labels, scan.tumour & ~inner, scan.image)


def growth(scan: AxialSlice, factor: float) -> Task:
    """The tumour grown evenly, where there is no CSF, to `factor` times its area, by oedema."""
    room = growing_room(scan)
    target = dilate_to_area(scan.tumour, room, min(factor * scan.tumour.sum(), room.sum()))
    after = transported_labels(scan.labels, target, scan.brain, inner=0.0)
    return Task(scan.image, scan.labels, after, (after > 0) & (scan.labels == 0))

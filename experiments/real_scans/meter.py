"""Sizes of pictures as the packaged segmenter reads them, and how well it reads real scans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mechlearn.agreement import dice
from mechlearn.data.selection import equally_spaced
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.label_segmenter import segmented, tumour_area_mm2
from mechlearn.evaluation.rows import Row
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.models.label_networks import FOUND_LABELS
from mechlearn.records import AxialSlice

SLICES = 12  # of a patient


def size_errors(
    scan: AxialSlice, drawn: np.ndarray, asked_px: int, *, model: LoadedModel
) -> dict[str, float | None]:
    """Measured over asked size, less one.

    `segmenter`: the area as the segmenter finds it. `own`: by a threshold at which it finds on the
    scan as much as the mask has; None where it does not see the tumour of the scan.
    """
    found = int((segmented(scan, drawn[None], model=model) > 0).sum())
    own = tumour_area_mm2(scan, drawn, model=model)
    return {
        "segmenter": float(found / asked_px - 1),
        "own": None if own is None else float(own / scan.pixel_mm2 / asked_px - 1),
    }


def readings(model: LoadedModel, store: SliceStore, split: str | None) -> list[Row]:
    """Dice of the whole tumour and of each label over a patient's slices, and the error of its
    size; one row a patient."""
    pairs: dict[str, list[np.ndarray]] = {}
    for scan in _scans(store, split):
        found = segmented(scan, scan.image[None], model=model)[0]
        wanted = np.where(scan.tumour, scan.labels, 0)
        pairs.setdefault(scan.patient, []).append(np.stack([found, wanted]))
    rows: list[Row] = []
    for patient, slices in pairs.items():
        found, wanted = np.concatenate(slices, 1)
        row: Row = {"patient": patient, "dice_tumour": dice(found > 0, wanted > 0)}
        for number, name in enumerate(FOUND_LABELS[1:], 1):
            row[f"dice_{name}"] = dice(found == number, wanted == number)
        rows.append(row | {"size_error": float((found > 0).sum() / (wanted > 0).sum() - 1)})
    return rows


def _scans(store: SliceStore, split: str | None) -> Sequence[AxialSlice]:
    rows = []
    for patient in store.patients(split):
        mine = {r.z: r for r in store.slices(patient=patient) if r.tumour_area_mm2 > 0}
        rows += [mine[z] for z in equally_spaced(list(mine), SLICES)]
    return [store.read(row) for row in rows]

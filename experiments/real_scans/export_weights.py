"""Trained weights as a small file: float16, and the guard's ranges in the card of a denoiser.

    python experiments/real_scans/export_weights.py CHECKPOINT OUT.pt [STORE=NAME ...]

Each STORE is a prepared slice store with train and val patients, NAME the kind of its scans (scans,
phantoms). The guard's ranges are fitted to tumour slices of training patients so that 95% of the
validation slices pass. Without stores (a segmenter) no ranges are fitted.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from mechlearn.data.store import SliceStore
from mechlearn.evaluation.scan_guard import fit_ranges, scan_statistics
from mechlearn.models.checkpoints import LoadedModel, export, load_model

SMALLEST_MM2 = 100.0  # tumour area of a slice that is looked at
SLICES = {"train": 6, "val": 10}  # per patient, evenly spaced
PASS_SHARE = 0.95


def statistics(model: LoadedModel, store: SliceStore, split: str) -> list[dict[str, float]]:
    """The guard's statistics of tumour slices of one split."""
    found = []
    for patient in store.patients(split):
        rows = [r for r in store.slices(patient=patient) if r.tumour_area_mm2 > SMALLEST_MM2]
        if not rows:
            continue
        at = np.linspace(0, len(rows) - 1, SLICES[split] + 2).round().astype(int)[1:-1]
        scans = (store.read(rows[i]) for i in at)
        found += [scan_statistics(s, model.epsilon, schedule=model.schedule) for s in scans]
    return found


def main(checkpoint: str, out: str, *stores: str) -> None:
    export(checkpoint, out)
    if not stores:
        return
    model, groups = load_model(out), {}
    for word in stores:
        root, _, name = word.rpartition("=")
        store = SliceStore(Path(root))
        train, val = (statistics(model, store, split) for split in ("train", "val"))
        groups[name] = fit_ranges(train, val, pass_share=PASS_SHARE)
        sys.stdout.write(f"{name}: {len(train)} training and {len(val)} validation slices\n")
    export(checkpoint, out, guard=groups)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

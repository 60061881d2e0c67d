"""Map-style dataset of prepared slices, read a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mechlearn.data.draws import Draw
from mechlearn.data.labels import whole_tumour
from mechlearn.data.store import SliceStore
from mechlearn.imaging.intensity import BACKGROUND

__all__ = ["SliceDataset", "as_floats"]

Batch = dict[str, Tensor | list[int]]


class SliceDataset(Dataset[Any]):
    """Slices of one split.

    An item, `dataset[i]`, holds image (C, H, W) in [-1, 1], tumour and brain (1, H, W) of 0 and 1,
    the scalar fraction (tumour area / brain area), present (C,) of 0 and 1 (contrasts that are
    there; the others are background everywhere), all float32, and draw, a list of one number.

    A batch, `dataset.__getitems__(indices or draws)`, is compact, so that loader processes hand
    over a quarter of the bytes: image float16, tumour and brain bool. `as_floats` unpacks it.

    Args:
        store: the slice store.
        split: train, val or test; None for all slices.

    Raises:
        ValueError: no slice in the split.
    """

    def __init__(self, store: SliceStore, split: str | None) -> None:
        self.store = store
        self.rows = store.slices(split)
        if not self.rows:
            counts = {s: len(store.patients(s)) for s in ("train", "val", "test")}
            raise ValueError(
                f"{store.root}: split {split!r} has no slice (patients: {counts}). "
                "Prepare more patients, or into another folder with other split shares."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        batch = as_floats(self.__getitems__([index]))
        return {k: v[0] for k, v in batch.items() if isinstance(v, Tensor)}

    def __getitems__(self, wanted: Sequence[int] | Sequence[Draw]) -> Batch:
        """A batch: image (B, C, H, W) float16; tumour, brain (B, 1, H, W) and present (B, C) bool;
        fraction (B,) float32; draw, a list of B numbers (indices, where no draws are asked for)."""
        draws = [self._plain(w) if isinstance(w, int) else w for w in wanted]
        rows = [self.rows[draw.index] for draw in draws]
        image, labels, brain = self.store.batch(rows)
        tumour = whole_tumour(labels)
        present = np.array([row.present for row in rows])
        kept = present & np.array([draw.kept for draw in draws])
        kept = np.where(kept.any(1, keepdims=True), kept, present)
        image[~kept] = BACKGROUND
        for i in [i for i, draw in enumerate(draws) if draw.flip]:
            for array in (image, tumour, brain):
                array[i] = array[i, ..., ::-1].copy()
        return {
            "image": torch.from_numpy(image),
            "tumour": torch.from_numpy(tumour)[:, None],
            "brain": torch.from_numpy(brain)[:, None],
            "present": torch.from_numpy(kept),
            "fraction": torch.tensor([row.tumour_fraction for row in rows], dtype=torch.float32),
            "draw": [draw.number for draw in draws],
        }

    def _plain(self, index: int) -> Draw:
        return Draw(index, index, False, (True,) * len(self.store.contrasts))


def as_floats(batch: Batch) -> Batch:
    """A compact batch with its images and masks as float32, on the device it lies on."""
    return {
        key: value.float() if isinstance(value, Tensor) else value for key, value in batch.items()
    }

"""Map-style dataset of prepared slices, read a batch at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from mechlearn.data.draws import Draw
from mechlearn.data.labels import whole_tumour
from mechlearn.data.store import SliceStore
from mechlearn.spatial.intensity import BACKGROUND

__all__ = ["SliceDataset", "as_floats"]

Batch = dict[str, Any]
LABEL_SHIFT = 2  # canonical labels stand above the bits of tumour and brain


class SliceDataset(Dataset[Any]):
    """Slices of one split.

    An item, `dataset[i]`, holds image (C, H, W) in [-1, 1], tumour and brain (1, H, W) of 0 and 1,
    the scalar fraction (tumour area / brain area), present (C,) of 0 and 1 (contrasts that are
    there; the others are background everywhere), all float32.

    A batch, `dataset.__getitems__(indices or draws)`, is compact: image (B, C, H, W) float16 and
    mask (B, H, W) uint8 (bit 0 tumour, bit 1 brain, then the canonical label), both in memory that
    loader processes share with the one that trains, and lists of draw, present and fraction.
    `as_floats` unpacks it.

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
        """A compact batch of slices, as they are, or as the draws want them."""
        draws = [self._plain(w) if isinstance(w, int) else w for w in wanted]
        rows = [self.rows[draw.index] for draw in draws]
        plane = (self.store.spec.size,) * 2
        images = _shared((len(rows), len(self.store.contrasts), *plane), torch.float16)
        masks = _shared((len(rows), *plane), torch.uint8)
        image, labels, brain = self.store.batch(rows, out=images.numpy())
        mask = masks.numpy()
        np.bitwise_or(whole_tumour(labels), brain.view(np.uint8) << 1, out=mask)
        mask |= labels << LABEL_SHIFT
        present = np.array([row.present for row in rows])
        kept = present & np.array([draw.kept for draw in draws])
        kept = np.where(kept.any(1, keepdims=True), kept, present)
        if not kept.all():
            image[~kept] = BACKGROUND
        for i in [i for i, draw in enumerate(draws) if draw.flip]:
            for array in (image, mask):
                array[i] = array[i, ..., ::-1].copy()
        return {
            "image": images,
            "mask": masks,
            "present": kept.tolist(),
            "fraction": [row.tumour_fraction for row in rows],
            "draw": [draw.number for draw in draws],
        }

    def _plain(self, index: int) -> Draw:
        return Draw(index, index, False, (True,) * len(self.store.contrasts))


def _shared(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """An empty tensor; in a loader process, one that the training process sees without a copy."""
    empty = torch.empty(0, dtype=dtype)
    if get_worker_info() is None:
        return empty.new_empty(shape)
    storage = torch.UntypedStorage._new_shared(dtype.itemsize * math.prod(shape))
    return empty.set_(storage, 0, shape)  # type: ignore[call-overload]


def as_floats(batch: Batch) -> Batch:
    """A compact batch as float32 on the device where it lies: image (B, C, H, W), tumour and brain
    (B, 1, H, W), labels (B, H, W) int64, present (B, C), fraction (B,); draw stays a list."""
    image, mask = batch["image"], batch["mask"]
    return {
        "image": image.float(),
        "tumour": (mask & 1).float()[:, None],
        "brain": (mask >> 1 & 1).float()[:, None],
        "labels": (mask >> LABEL_SHIFT).long(),
        "present": torch.tensor(batch["present"], dtype=torch.float32, device=image.device),
        "fraction": torch.tensor(batch["fraction"], dtype=torch.float32, device=image.device),
        "draw": batch["draw"],
    }

"""Map-style dataset of prepared slices, and balanced drawing for guides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset, WeightedRandomSampler

from mechlearn.checks import in_range
from mechlearn.data.labels import whole_tumour
from mechlearn.data.spec import checked_contrasts
from mechlearn.data.store import SliceStore

__all__ = ["SliceDataset", "balanced_sampler"]


class SliceDataset(Dataset[dict[str, torch.Tensor]]):
    """Slices of one split.

    An item holds image (C, H, W) in [-1, 1], tumour and brain (1, H, W) of 0 and 1, and fraction,
    the scalar tumour area / brain area; all float32.

    Args:
        store: the slice store.
        split: train, val or test; None for all slices.
        contrasts: channels, in this order; None for all of the store.
        flip: mirror left and right with probability 1/2, drawn from torch's generator.

    Raises:
        ValueError: no slice in the split, or a contrast that the store lacks.
    """

    def __init__(
        self,
        store: SliceStore,
        split: str | None,
        *,
        contrasts: Sequence[str] | None = None,
        flip: bool = False,
    ) -> None:
        self.store = store
        self.flip = flip
        self.contrasts = checked_contrasts(contrasts or store.contrasts, store.contrasts)
        self._channels = [store.contrasts.index(c) for c in self.contrasts]
        self.rows = store.slices(split)
        if not self.rows:
            counts = {s: len(store.patients(s)) for s in ("train", "val", "test")}
            raise ValueError(
                f"{store.root}: split {split!r} has no slice (patients: {counts}). "
                "Prepare more patients, or into another folder with other split shares."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self.rows[index]
        image, labels, brain = self.store.arrays(row)
        item = {
            "image": torch.from_numpy(image[self._channels].astype("float32")),
            "tumour": torch.from_numpy(whole_tumour(labels)[None].astype("float32")),
            "brain": torch.from_numpy(brain[None].astype("float32")),
        }
        if self.flip and torch.rand(()) < 0.5:
            item = {key: value.flip(-1) for key, value in item.items()}
        item["fraction"] = torch.tensor(row.tumour_fraction, dtype=torch.float32)
        return item


def balanced_sampler(
    dataset: SliceDataset, tumour_share: float, *, seed: int
) -> WeightedRandomSampler:
    """Draw slices with replacement so that `tumour_share` of them hold tumour on average.

    The sampler has its own generator with one seed on all ranks, so that under DDP, where
    Lightning wraps it and gives each rank every n-th index, the ranks share one list.

    Raises:
        ValueError: share not in (0, 1), or one of the two kinds of slices is missing.
    """
    in_range("tumour_share", tumour_share, 0.01, 0.99, remedy="Use null to draw slices evenly.")
    tumour = torch.tensor([row.tumour_fraction > 0 for row in dataset.rows])
    n_tumour = int(tumour.sum())
    if n_tumour in (0, len(dataset)):
        raise ValueError(
            f"tumour_share={tumour_share:g}: {n_tumour} of {len(dataset)} slices hold tumour; "
            "balanced drawing needs both kinds. Use tumour_share=null."
        )
    weights = torch.where(
        tumour, tumour_share / n_tumour, (1.0 - tumour_share) / (len(dataset) - n_tumour)
    )
    generator = torch.Generator().manual_seed(seed)
    return WeightedRandomSampler(
        weights.double().tolist(), len(dataset), replacement=True, generator=generator
    )

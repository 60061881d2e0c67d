"""Lightning data module over a slice store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from mechlearn.data.datasets import SliceDataset, balanced_sampler
from mechlearn.data.spec import checked_contrasts
from mechlearn.data.store import SliceStore

__all__ = ["SliceDataModule"]


class SliceDataModule(pl.LightningDataModule):
    """Train, validation and test loaders of a slice store.

    Args:
        root: the slice store.
        batch_size: slices a batch on each device; the paper's is 10.
        num_workers: loader processes; they stay alive between epochs.
        contrasts: channels, in this order; None for all of the store.
        flip: mirror training slices left and right at random.
        val_slices: validate on this many slices, evenly spaced over all validation patients; None
            for every one.
        tumour_share: share of training slices with tumour, drawn with replacement; None draws
            every slice once an epoch. Works under DDP: Lightning wraps the sampler.
        seed: of the balanced drawing.

    Raises:
        ValueError: batch_size below 1, or larger than the training split.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        batch_size: int = 10,
        num_workers: int = 0,
        contrasts: Sequence[str] | None = None,
        flip: bool = False,
        val_slices: int | None = None,
        tumour_share: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.batch_size={batch_size}: must be 1 or more.")
        self.root = Path(root)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.wanted_contrasts = contrasts
        self.flip = flip
        self.val_slices = val_slices
        self.tumour_share = tumour_share
        self.seed = seed

    @cached_property
    def store(self) -> SliceStore:
        """The store, opened at first use."""
        return SliceStore(self.root)

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Channels of the batches."""
        available = self.store.contrasts
        return checked_contrasts(self.wanted_contrasts or available, available)

    def card(self) -> dict[str, Any]:
        """What a checkpoint must know of its data: the store's card for these contrasts."""
        return {**self.store.card(), "contrasts": list(self.contrasts)}

    def dataset(self, split: str) -> SliceDataset:
        """Slices of one split; mirrored at random in train alone."""
        return SliceDataset(
            self.store, split, contrasts=self.contrasts, flip=self.flip and split == "train"
        )

    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        dataset = self.dataset("train")
        if len(dataset) < self.batch_size:
            raise ValueError(
                f"data.batch_size={self.batch_size}: the training split has {len(dataset)} slices "
                "and an incomplete batch is dropped. Lower data.batch_size."
            )
        if self.tumour_share is None:
            return self._loader(dataset, shuffle=True, drop_last=True)
        # A resumed run draws on from its epoch instead of repeating the first ones.
        epoch = self.trainer.current_epoch if self.trainer is not None else 0
        sampler = balanced_sampler(dataset, self.tumour_share, seed=self.seed + epoch)
        return self._loader(dataset, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[dict[str, torch.Tensor]] | list[Any]:
        """Validation slices in order; an empty list if no patient is in the split."""
        if not self.store.patients("val"):
            return []
        dataset: Dataset[dict[str, torch.Tensor]] = self.dataset("val")
        total = len(self.dataset("val"))
        if self.val_slices is not None and self.val_slices < total:
            chosen = np.linspace(0, total - 1, self.val_slices).round().astype(int)
            dataset = Subset(dataset, chosen.tolist())
        return self._loader(dataset)

    def test_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return self._loader(self.dataset("test"))

    def _loader(
        self, dataset: Dataset[dict[str, torch.Tensor]], **options: Any
    ) -> DataLoader[dict[str, torch.Tensor]]:
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

"""Lightning data module over a slice store."""

from __future__ import annotations

import logging
import signal
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from mechlearn.data.augmentation import augmented
from mechlearn.data.augmentation_spec import AugmentationSpec
from mechlearn.data.datasets import Batch, SliceDataset, as_floats
from mechlearn.data.draws import DrawBatches, Draws
from mechlearn.data.store import SliceStore

__all__ = ["ResumableLoader", "SliceDataModule"]

log = logging.getLogger(__name__)


def _as_read(batch: Batch) -> Batch:
    """The dataset reads whole batches: nothing is left to collate."""
    return batch


class ResumableLoader(DataLoader[Batch]):
    """Training batches; Lightning keeps `state_dict` in its checkpoints and hands it back."""

    batch_sampler: DrawBatches
    waited_s = 0.0  # how long batches were waited for, all in all

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waited_s += time.perf_counter() - asked
            if batch is None:
                return
            self.batch_sampler.first_draw += self.batch_sampler.stride
            yield batch

    def state_dict(self) -> dict[str, int]:
        """How many draws were handed out, over all ranks."""
        return {"draws": self.batch_sampler.first_draw}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after as many draws."""
        self.batch_sampler.first_draw = state["draws"]


class SliceDataModule(pl.LightningDataModule):
    """Train, validation and test loaders of a slice store.

    Training batches follow `Draws`: the same slices in the same order on any number of processes,
    also after a resume. Lightning must leave samplers alone (`use_distributed_sampler=False`): the
    loaders here know their rank.

    Args:
        root: the slice store.
        batch_size: slices a batch on each device; the paper's is 10.
        num_workers: loader processes; they stay alive between epochs.
        contrasts: channels, in this order; None for all of the store. Visits that have none of them
            are left out.
        flip: mirror training slices left and right at random.
        drop_contrasts: probability that a contrast is left out of a training slice.
        val_slices: validate on this many slices, evenly spaced over all validation patients; None
            for every one.
        tumour_share: share of training slices with tumour, drawn with replacement; None draws
            every slice once a pass.
        shares: of the training draws that come from each data set (`VisitRecord.source`).
        augment: what is done to training slices.
        seed: of the draws.

    Raises:
        ValueError: batch_size below 1.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        batch_size: int = 10,
        num_workers: int = 0,
        contrasts: Sequence[str] | None = None,
        flip: bool = False,
        drop_contrasts: float = 0.0,
        val_slices: int | None = None,
        tumour_share: float | None = None,
        shares: Mapping[str, float] | None = None,
        augment: AugmentationSpec | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"data.loader.batch_size={batch_size}: must be 1 or more.")
        self.root = Path(root)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.wanted_contrasts = contrasts
        self.flip = flip
        self.drop_contrasts = drop_contrasts
        self.val_slices = val_slices
        self.tumour_share = tumour_share
        self.shares = dict(shares or {})
        self.augment = augment or AugmentationSpec()
        self.seed = seed
        self._resumed_draw = 0
        self._training: ResumableLoader | None = None

    @cached_property
    def store(self) -> SliceStore:
        """The store, opened at first use."""
        return SliceStore(self.root, contrasts=self.wanted_contrasts)

    def card(self) -> dict[str, Any]:
        """What a checkpoint must know of its data: the store's card for these contrasts."""
        return self.store.card()

    def describe(self) -> str:
        """What is trained on, in words: data sets, patients and slices."""
        patients = self.store.patients("train")
        sources = {v.record.source for p in patients for v in self.store.visits(p)} - {""}
        named = ", ".join(sorted(sources)) or f"store {self.root.name}"
        return f"{named}: {len(patients)} patients, {len(self.store.slices('train'))} slices"

    def dataset(self, split: str) -> SliceDataset:
        """Slices of one split, in the store's order, as they are."""
        return SliceDataset(self.store, split)

    @property
    def _ranks(self) -> tuple[int, int]:
        """(this process, how many there are)."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _batches(self, slices: int) -> int:
        """Batches of the run: all of its steps, or one pass where it is counted in epochs."""
        steps = -1 if self.trainer is None else self.trainer.max_steps
        if self.trainer is None or steps < 0:
            return max(slices // (self.batch_size * self._ranks[1]), 1)
        return steps * self.trainer.accumulate_grad_batches

    def train_dataloader(self) -> ResumableLoader:
        dataset = self.dataset("train")
        draws = Draws(
            [row.tumour_fraction > 0 for row in dataset.rows], seed=self.seed,
            contrasts=len(self.store.contrasts), flip=self.flip, drop_contrasts=self.drop_contrasts,
            tumour_share=self.tumour_share, shares=self.shares,
            sources=self._sources(dataset) if self.shares else None,
        )  # fmt: skip
        rank, ranks = self._ranks
        batches = DrawBatches(
            draws, batch_size=self.batch_size, batches=self._batches(len(dataset)),
            rank=rank, ranks=ranks,
        )  # fmt: skip
        batches.first_draw = self._resumed_draw
        self._training = ResumableLoader(dataset, batch_sampler=batches, **self._options())
        return self._training

    def _sources(self, dataset: SliceDataset) -> list[str]:
        visits = {(v.patient, v.session): v.record.source
                  for p in self.store.patients("train") for v in self.store.visits(p)}
        return [visits[row.patient, row.session] for row in dataset.rows]

    def state_dict(self) -> dict[str, Any]:
        """How many draws were handed out (Lightning forgets a loader's state between epochs), and
        of what."""
        draws = {"draws": 0} if self._training is None else self._training.state_dict()
        return {**draws, "settings": self._settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after as many draws.

        Raises:
            ValueError: the training slices are others.
        """
        before = state_dict["settings"]
        if before["slices"] != self._settings["slices"]:
            raise ValueError(
                f"resume: the checkpoint was trained on {before['slices']}; {self.root} holds "
                f"{self._settings['slices']}. Give the data it was trained on, or begin a new run "
                "from its weights: init=PATH resume=null."
            )
        for key, value in self._settings.items():
            if before.get(key) != value:
                log.warning("resume: data %s was %s, is %s from here", key, before.get(key), value)
        self._resumed_draw = state_dict["draws"]

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """What a resumed run should have in common with the one it goes on with."""
        rows = self.store.slices("train")
        named = "\n".join(f"{r.patient}/{r.session}/{r.z}" for r in rows)
        return {
            "slices": f"{len(rows)} slices ({zlib.crc32(named.encode()):08x})",
            "contrasts": list(self.store.contrasts),
            "batch_size of all processes": self.batch_size * self._ranks[1],
            "flip": self.flip,
            "drop_contrasts": self.drop_contrasts,
            "tumour_share": self.tumour_share,
            "shares": self.shares,
            "augment": asdict(self.augment),
            "seed": self.seed,
        }

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Validation slices in order, every rank its share; an empty list if there is no patient.

        Raises:
            ValueError: fewer validation slices than processes.
        """
        if not self.store.patients("val"):
            return []
        dataset = self.dataset("val")
        chosen = np.arange(len(dataset))
        if self.val_slices is not None and self.val_slices < len(dataset):
            chosen = np.linspace(0, len(dataset) - 1, self.val_slices).round().astype(int)
        rank, ranks = self._ranks
        if len(chosen) < ranks:
            raise ValueError(
                f"data.loader.val_slices={self.val_slices}: {len(chosen)} validation slices for "
                f"{ranks} processes; each needs one. Validate on more, or on none "
                "(trainer.limit_val_batches=0)."
            )
        return self._ordered(dataset, chosen[rank::ranks].tolist())

    def test_dataloader(self) -> DataLoader[Batch]:
        dataset = self.dataset("test")
        return self._ordered(dataset, list(range(len(dataset))))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Unpack a batch where it is used: loader processes and bus carry the compact one."""
        floats = as_floats(batch)
        training = self.trainer is not None and self.trainer.training
        return augmented(floats, self.augment, seed=self.seed) if training else floats

    def _ordered(self, dataset: SliceDataset, indices: list[int]) -> DataLoader[Batch]:
        batches = [
            indices[i : i + self.batch_size] for i in range(0, len(indices), self.batch_size)
        ]
        return DataLoader(dataset, batch_sampler=batches, **self._options())

    def _options(self) -> dict[str, Any]:
        return {
            "num_workers": self.num_workers,
            "persistent_workers": self.num_workers > 0,
            "pin_memory": torch.cuda.is_available(),
            "collate_fn": _as_read,
            "worker_init_fn": _leave_sigterm_to_the_trainer,
        }


def _leave_sigterm_to_the_trainer(worker: int) -> None:
    """A scheduler signals every process of a job; a reader that died would take the run with it
    before its checkpoint is written. Readers end with the training process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

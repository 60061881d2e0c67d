from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from mechlearn.data.module import SliceDataModule
from mechlearn.data.prepare import prepare


def test_train_batches_are_whole(store):
    data = SliceDataModule(store.root, batch_size=4)
    sizes = {len(b["image"]) for b in data.train_dataloader()}
    assert sizes == {4}


def test_validation_reads_every_slice_in_order(store):
    data = SliceDataModule(store.root, batch_size=4)
    fractions = torch.cat([b["fraction"] for b in data.val_dataloader()])
    expected = [r.tumour_fraction for r in store.slices("val")]
    assert fractions.tolist() == pytest.approx(expected)


def test_only_training_slices_are_mirrored(store):
    data = SliceDataModule(store.root, flip=True)
    assert (data.dataset("train").flip, data.dataset("val").flip) == (True, False)


def test_card_names_the_contrasts_of_the_batches(store):
    data = SliceDataModule(store.root, contrasts=["t2f"])
    assert data.card() == {**store.card(), "contrasts": ["t2f"]}


def test_loader_workers_give_the_same_batches(store):
    alone, helped = (
        next(iter(SliceDataModule(store.root, batch_size=4, num_workers=n).val_dataloader()))
        for n in (0, 1)
    )
    assert torch.equal(alone["image"], helped["image"])


def test_batch_larger_than_the_split_is_refused(store):
    with pytest.raises(ValueError, match=r"data\.batch_size=9999"):
        SliceDataModule(store.root, batch_size=9999).train_dataloader()


def test_batch_size_below_one_is_refused(store):
    with pytest.raises(ValueError, match=r"data\.batch_size=0"):
        SliceDataModule(store.root, batch_size=0)


def test_no_validation_patient_gives_no_loader(tmp_path, visit_of, spec):
    prepare([visit_of()], tmp_path / "store", spec=spec, splits={"P1": "train"})
    assert SliceDataModule(tmp_path / "store").val_dataloader() == []


class Counting(pl.LightningModule):
    """Counts slices with tumour in training batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[float] = []

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.seen += batch["fraction"].tolist()
        return self.weight * batch["image"].mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**options: object) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_balanced_epochs_run_under_a_trainer(store):
    model = Counting()
    data = SliceDataModule(store.root, batch_size=4, tumour_share=0.9)
    trainer(max_epochs=3).fit(model, datamodule=data)
    assert sum(f > 0 for f in model.seen) / len(model.seen) > 0.75

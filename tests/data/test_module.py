from __future__ import annotations

import multiprocessing

import pytest
import pytorch_lightning as pl
import torch

from mechlearn.data.module import SliceDataModule
from mechlearn.data.preparation import prepare


def test_train_batches_are_whole(store):
    data = SliceDataModule(store.root, batch_size=4)
    sizes = {len(b["image"]) for b in data.train_dataloader()}
    assert sizes == {4}


def test_validation_reads_every_slice_in_order(store):
    data = SliceDataModule(store.root, batch_size=4)
    fractions = [f for b in data.val_dataloader() for f in b["fraction"]]
    assert fractions == [r.tumour_fraction for r in store.slices("val")]


def test_validation_can_be_thinned_evenly(store):
    data = SliceDataModule(store.root, batch_size=4, val_slices=3)
    draws = [d for b in data.val_dataloader() for d in b["draw"]]
    last = len(store.slices("val")) - 1
    assert draws == [0, round(last / 2), last]


class Ranked(SliceDataModule):
    """As one of two processes."""

    rank = 0
    _ranks = property(lambda self: (self.rank, 2))  # type: ignore[assignment]


def test_ranks_share_the_validation_slices(store):
    found = []
    for rank in (0, 1):
        data = Ranked(store.root, batch_size=4)
        data.rank = rank
        found += [d for b in data.val_dataloader() for d in b["draw"]]
    assert sorted(found) == list(range(len(store.slices("val"))))


def test_fewer_validation_slices_than_processes_are_refused(store):
    with pytest.raises(ValueError, match=r"val_slices=1: 1 validation slices for 2 processes"):
        Ranked(store.root, val_slices=1).val_dataloader()


def test_card_names_the_contrasts_of_the_batches(store):
    data = SliceDataModule(store.root, contrasts=["t2f"])
    assert data.card() == {**store.card(), "contrasts": ["t2f"]}


def test_loader_workers_give_the_same_batches(store):
    alone, helped = (
        list(SliceDataModule(store.root, batch_size=4, num_workers=n, flip=True).train_dataloader())
        for n in (0, 1)
    )
    for a, b in zip(alone, helped, strict=True):
        assert a["draw"] == b["draw"]
        assert torch.equal(a["image"], b["image"])


def test_readers_leave_sigterm_to_the_training_process(store):
    """A scheduler signals all processes: a reader that died would end the run unsaved."""
    data = SliceDataModule(store.root, batch_size=2, num_workers=1)
    data.setup("fit")
    batches = iter(data.train_dataloader())
    next(batches)
    (reader,) = multiprocessing.active_children()
    reader.terminate()  # SIGTERM
    next(batches)
    assert reader.is_alive()


def test_batch_size_below_one_is_refused(store):
    with pytest.raises(ValueError, match=r"data\.loader\.batch_size=0"):
        SliceDataModule(store.root, batch_size=0)


def test_no_validation_patient_gives_no_loader(tmp_path, visit_of, spec):
    prepare([visit_of()], tmp_path / "store", spec=spec, splits={"P1": "train"})
    assert SliceDataModule(tmp_path / "store").val_dataloader() == []


class Counting(pl.LightningModule):
    """Remembers the draws of its training batches, and whether they hold tumour."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.fractions: list[float] = []
        self.draws: list[int] = []

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        assert batch["image"].dtype == torch.float32
        self.fractions += batch["fraction"].tolist()
        self.draws += batch["draw"]
        return self.weight * batch["image"].mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**options: object) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def test_contrasts_are_taken_in_the_order_asked(store):
    whole, some = (
        next(iter(SliceDataModule(store.root, batch_size=4, contrasts=c).val_dataloader()))["image"]
        for c in (None, ["t2f", "t1n"])
    )
    assert torch.equal(some, whole[:, [3, 0]])


def test_unknown_contrast_is_named(store):
    with pytest.raises(ValueError, match="contrasts='adc'"):
        SliceDataModule(store.root, contrasts=["adc"]).card()


def test_balanced_passes_run_under_a_trainer(store):
    model = Counting()
    data = SliceDataModule(store.root, batch_size=4, tumour_share=0.9)
    trainer(max_epochs=3).fit(model, datamodule=data)
    assert sum(f > 0 for f in model.fractions) / len(model.fractions) > 0.75


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_counted_in_steps_is_one_list_of_draws(store, accumulate):
    model = Counting()
    data = SliceDataModule(store.root, batch_size=4)
    trainer(max_steps=9, max_epochs=-1, accumulate_grad_batches=accumulate).fit(model, data)
    assert model.draws == list(range(4 * 9 * accumulate))


def test_resumed_run_goes_on_with_the_next_draw(store, tmp_path):
    first, second = Counting(), Counting()
    data = SliceDataModule(store.root, batch_size=4)
    run = trainer(max_steps=7, max_epochs=-1)
    run.fit(first, data)
    run.save_checkpoint(tmp_path / "c.ckpt")
    longer = trainer(max_steps=12, max_epochs=-1)
    again = SliceDataModule(store.root, batch_size=4)
    longer.fit(second, again, ckpt_path=tmp_path / "c.ckpt", weights_only=True)
    assert second.draws == list(range(28, 48))


def test_resumed_run_counted_in_epochs_goes_on_with_the_next_draw(store, tmp_path):
    first, second = Counting(), Counting()
    run = trainer(max_epochs=1)
    run.fit(first, SliceDataModule(store.root, batch_size=4))
    run.save_checkpoint(tmp_path / "c.ckpt")
    again = SliceDataModule(store.root, batch_size=4)
    trainer(max_epochs=2).fit(second, again, ckpt_path=tmp_path / "c.ckpt", weights_only=True)
    assert second.draws == list(range(len(first.draws), 2 * len(first.draws)))


def test_resume_on_other_slices_is_refused(store, tmp_path, visit_of, spec):
    state = SliceDataModule(store.root).state_dict()
    prepare([visit_of()], tmp_path / "other", spec=spec, splits={"P1": "train"})
    with pytest.raises(ValueError, match=r"resume: the checkpoint was trained on \d+ slices"):
        SliceDataModule(tmp_path / "other").load_state_dict(state)


def test_resume_with_another_loader_says_what_changed(store, caplog):
    state = SliceDataModule(store.root, batch_size=4).state_dict()
    SliceDataModule(store.root, batch_size=8).load_state_dict(state)
    assert "data batch_size of all processes was 4, is 8 from here" in caplog.text


def test_training_data_are_told_in_words(store):
    slices = len(store.slices("train"))
    assert SliceDataModule(store.root).describe() == f"made: 2 patients, {slices} slices"

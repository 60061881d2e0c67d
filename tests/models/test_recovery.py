"""A run that was killed and resumed does what one that was not killed does, bit for bit."""

import signal
from pathlib import Path
from typing import ClassVar

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mechlearn.data.draws import DrawBatches, Draws
from mechlearn.data.module import ResumableLoader
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.recovery import AtomicCheckpointIO, RecoveryCheckpoint, all_metrics

DATA = {"contrasts": ["t1n", "t2f"], "size": 8, "pixel_mm": 1.5, "intensity": {}}
NETWORK = {"_target_": "mechlearn.models.networks.Denoiser", "contrasts": 2, "channels": [8, 8],
           "attention_levels": [False, False], "num_res_blocks": 1, "norm_num_groups": 4}


class Killed(Exception):
    """Stands for SIGKILL: nothing is saved on the way out."""


class KillAt(pl.Callback):
    def __init__(self, batches):
        self.left = batches

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.left -= 1
        if self.left < 0:
            raise Killed


class Pictures(torch.utils.data.Dataset):
    """Fourteen pictures of noise, read by draws or by index."""

    images = torch.randn(14, 2, 8, 8, generator=torch.Generator().manual_seed(5))

    def __len__(self):
        return len(self.images)

    def __getitems__(self, wanted):
        numbers = [w if isinstance(w, int) else w.index for w in wanted]
        draws = [w if isinstance(w, int) else w.number for w in wanted]
        mask = torch.ones(len(wanted), 1, 8, 8)
        return {"image": self.images[numbers], "tumour": mask, "brain": mask, "draw": draws,
                "present": torch.ones(len(wanted), 2), "fraction": torch.ones(len(wanted))}


class Trace(pl.Callback):
    """Losses of every batch and validation."""

    def __init__(self):
        self.losses = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.losses[f"batch {batch_idx}"] = float(outputs["loss"])

    def on_validation_end(self, trainer, pl_module):
        self.losses[f"validation at {trainer.global_step}"] = float(
            trainer.callback_metrics["val/loss"]
        )


def as_read(batch):
    return batch


def run(folder, *, levels, accumulate, kill_at=None, watch=None, resume=False, steps=12,
        seed=7):
    torch.manual_seed(seed)  # of the first weights
    module = DDPMModule(NETWORK, schedule=NoiseSchedule(levels=4), data=DATA, lr=1e-2, seed=seed,
                        levels=levels, decay=True, warmup_steps=3)
    draws = Draws([True] * 14, seed=seed, contrasts=2)
    batches = DrawBatches(draws, batch_size=4, batches=steps * accumulate)
    train = ResumableLoader(Pictures(), batch_sampler=batches, collate_fn=as_read)
    val = torch.utils.data.DataLoader(Pictures(), batch_size=7, collate_fn=as_read)
    trace = Trace()
    callbacks = [trace, WeightAveraging(multi_avg_fn=get_ema_multi_avg_fn(0.8)),
                 RecoveryCheckpoint(folder, every_n_steps=2)]
    if kill_at is not None:
        callbacks.append(KillAt(kill_at))
    if watch is not None:
        callbacks.append(watch)
    trainer = pl.Trainer(
        max_steps=steps, max_epochs=-1, val_check_interval=4, check_val_every_n_epoch=None,
        accumulate_grad_batches=accumulate, gradient_clip_val=0.5, accelerator="cpu",
        callbacks=callbacks, plugins=[AtomicCheckpointIO()], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        logger=CSVLogger(folder, "", "csv"), log_every_n_steps=1,
    )
    trainer.fit(module, train, val, ckpt_path=folder / "last.ckpt" if resume else None,
                weights_only=True if resume else None)
    return trace.losses, module.network.state_dict()


@pytest.mark.parametrize(
    ("levels", "accumulate", "kill_at"),
    [("uniform", 1, 3), ("uniform", 1, 4), ("uniform", 2, 11), ("importance", 1, 11)],
)
def test_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path, levels, accumulate, kill_at):
    options = {"levels": levels, "accumulate": accumulate}
    losses, weights = run(tmp_path / "whole", **options)
    with pytest.raises(Killed):
        run(tmp_path / "killed", **options, kill_at=kill_at)
    rest, resumed = run(tmp_path / "killed", **options, resume=True)
    assert min(int(k.split()[1]) for k in rest if k.startswith("batch")) >= kill_at - 3
    assert rest == {k: losses[k] for k in rest}
    assert list(losses)[-1] in rest
    assert all(torch.equal(weights[k], resumed[k]) for k in weights)


def test_equal_seeds_train_equal_weights_to_the_last_bit_and_others_do_not(tmp_path):
    options = {"levels": "importance", "accumulate": 1, "steps": 6}
    losses, weights = run(tmp_path / "one", **options)
    again, same = run(tmp_path / "two", **options)
    _, other = run(tmp_path / "three", **options, seed=8)
    assert again == losses
    assert all(torch.equal(weights[k], same[k]) for k in weights)
    assert not any(torch.equal(weights[k], other[k]) for k in weights if weights[k].numel() > 1)


def test_finished_run_can_be_made_longer(tmp_path):
    options = {"levels": "uniform", "accumulate": 1}
    run(tmp_path, **options, steps=4)
    rest, _ = run(tmp_path, **options, steps=8, resume=True)
    assert len([k for k in rest if k.startswith("batch")]) == 4
    assert "validation at 8" in rest
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 8


def test_resume_of_a_finished_run_says_so(tmp_path, caplog):
    run(tmp_path, levels="uniform", accumulate=1, steps=4)
    rest, _ = run(tmp_path, levels="uniform", accumulate=1, steps=4, resume=True)
    assert not rest
    assert "all 4 steps are done" in caplog.text


def test_resume_of_a_finished_run_knows_its_losses(tmp_path):
    class Last(pl.Callback):
        def on_fit_end(self, trainer, pl_module):
            self.metrics = all_metrics(trainer)

    whole, resumed = Last(), Last()
    run(tmp_path, levels="uniform", accumulate=1, steps=4, watch=whole)
    run(tmp_path, levels="uniform", accumulate=1, steps=4, watch=resumed, resume=True)
    assert {"train/loss", "val/loss"} <= set(whole.metrics)
    assert resumed.metrics == whole.metrics


def test_losses_are_not_all_alike(tmp_path):
    """Or the tests above would prove nothing: levels, noise and data differ between steps."""
    losses, _ = run(tmp_path, levels="importance", accumulate=1)
    assert len(set(losses.values())) == len(losses)


class Watched(CSVLogger):
    """Remembers how far the checkpoint on disk was whenever a step was logged."""

    found: ClassVar[list[tuple[int, int]]] = []

    def log_metrics(self, metrics, step=None):
        checkpoint = Path(self.root_dir) / "last.ckpt"
        if checkpoint.is_file():
            self.found.append((torch.load(checkpoint, weights_only=True)["global_step"], step))
        super().log_metrics(metrics, step)


def test_no_step_is_in_a_checkpoint_before_it_is_logged(tmp_path, monkeypatch):
    """The resumed run begins at the next step: nobody would log it any more."""
    monkeypatch.setattr(f"{__name__}.CSVLogger", Watched)
    run(tmp_path, levels="uniform", accumulate=1)
    assert len(Watched.found) > 10
    assert all(in_checkpoint <= step for in_checkpoint, step in Watched.found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_writes_a_checkpoint_of_that_step(tmp_path, number):
    class Stop(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 4:  # no checkpoint is due here
                signal.raise_signal(number)

    before = signal.getsignal(signal.SIGINT)
    options = {"levels": "importance", "accumulate": 1}
    losses, weights = run(tmp_path / "whole", **options)
    with pytest.raises(SIGTERMException):
        run(tmp_path / "stopped", **options, watch=Stop())
    assert signal.getsignal(signal.SIGINT) is before
    assert torch.load(tmp_path / "stopped/last.ckpt", weights_only=True)["global_step"] == 5
    rest, resumed = run(tmp_path / "stopped", **options, resume=True)
    assert rest == {k: losses[k] for k in rest}
    assert all(torch.equal(weights[k], resumed[k]) for k in weights)


def test_checkpoint_is_written_beside_its_place(tmp_path, monkeypatch):
    """A kill while it is written leaves the older one."""
    io, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    io.save_checkpoint({"step": 1}, path)

    def half(checkpoint, file):
        file.write(b"half")
        raise Killed

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(Killed):
        io.save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_impossible_interval_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"callbacks\.last\.every_minutes"):
        RecoveryCheckpoint(tmp_path, every_minutes=0)

"""Training stops at the first loss that is not finite."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from mechlearn.models.finite_loss import FiniteLoss


class Poisoned(pl.LightningModule):
    """Its loss is `value` from batch `at` on."""

    def __init__(self, at: int, value: float) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.at, self.value = at, value

    def training_step(self, batch, batch_idx):
        loss = self.layer(batch).square().mean()
        return loss * self.value if batch_idx >= self.at else loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


def fit(folder: Path, module: Poisoned) -> pl.Trainer:
    trainer = pl.Trainer(
        max_steps=8, callbacks=[FiniteLoss()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
        default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(module, DataLoader(torch.ones(16, 1), batch_size=2))
    return trainer


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [0, 5])
def test_error_names_step_and_batch(tmp_path, at, value):
    with pytest.raises(ValueError, match=rf"at step {at + 1}, batch {at} of this pass"):
        fit(tmp_path, Poisoned(at, value))


def test_finite_losses_train_to_the_end(tmp_path):
    assert fit(tmp_path, Poisoned(99, 1.0)).global_step == 8

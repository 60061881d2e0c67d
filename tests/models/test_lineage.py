"""Artifacts are what is in them: the same weights or data are one version, wherever they lie."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger

from mechlearn.models import lineage

pytest.importorskip("wandb")


class Run(SimpleNamespace):
    """Records what a W&B run would be told."""

    def __init__(self, *, offline: bool = False) -> None:
        super().__init__(id="abc", project="tumours", entity="", offline=offline)
        self.told: list[tuple[str, Any, dict]] = []

    def use_artifact(self, artifact: Any) -> None:
        if self.offline:
            raise TypeError("Cannot use artifact when in offline mode.")
        self.told.append(("use", artifact, {}))

    def _log_artifact(self, artifact: Any, **options: Any) -> None:
        self.told.append(("record", artifact, options))

    def log_artifact(self, artifact: Any, **options: Any) -> None:
        self.told.append(("log", artifact, options))

    def log(self, values: dict) -> None:
        self.told.append(("values", values, {}))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


CARD = {"wandb": {"artifact": "ddpm_brats", "run": "abc"}}


def test_model_that_was_moved_is_the_one_that_was_logged(weights: Path, tmp_path: Path) -> None:
    run = Run()
    lineage.log_model(run, "ddpm_brats", weights, metadata={}, aliases=["best"])
    moved = weights.rename(tmp_path / "my_denoiser.pt")
    assert lineage.use_model(run, moved, CARD)
    (_, logged, options), (_, used, _) = run.told
    assert (logged.name, logged.type, logged.digest) == (used.name, used.type, used.digest)
    assert options["aliases"] == ["best", "run-abc"]


def test_changed_weights_are_another_version(weights: Path) -> None:
    run = Run()
    for content in (b"weights", b"others"):
        weights.write_bytes(content)
        lineage.use_model(run, weights, CARD)
    assert run.told[0][1].digest != run.told[1][1].digest


def test_weights_that_wandb_never_saw_are_not_uploaded(weights: Path) -> None:
    run = Run()
    assert not lineage.use_model(run, weights, {"kind": "ddpm"})
    assert run.told == []


def test_offline_run_records_its_input_for_the_sync(weights: Path) -> None:
    run = Run(offline=True)
    assert lineage.use_model(run, weights, CARD)
    how, _, options = run.told[0]
    assert (how, options["use_after_commit"]) == ("record", True)


def test_offline_run_still_declares_inputs_by_this_version_of_wandb() -> None:
    """The function is W&B's own, not public: its absence must be noticed here."""
    import inspect

    from wandb.sdk.wandb_run import Run as RealRun

    options = {"artifact_or_path", "aliases", "is_user_created", "use_after_commit"}
    assert options <= set(inspect.signature(RealRun._log_artifact).parameters)


def test_same_data_are_one_version_from_any_folder(tmp_path: Path) -> None:
    run = Run()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        lineage.use_dataset(run, "data-brats", {"patients": 3, "size": 256}, tmp_path / name)
    assert run.told[0][1].digest == run.told[1][1].digest


def test_weights_stay_where_they_are(weights: Path) -> None:
    """Copies of them for the upload would fill a disk in a sweep."""
    run = Run()
    lineage.log_model(run, "ddpm", weights, metadata={}, aliases=[])
    entry = run.told[0][1].manifest.entries[lineage.MODEL_FILE]
    assert Path(entry.local_path) == weights


def test_name_is_one_that_wandb_takes(weights: Path) -> None:
    run = Run()
    lineage.log_model(run, "ddpm brats/2024", weights, metadata={}, aliases=[])
    assert run.told[0][1].name.startswith("ddpm_brats_2024")


def test_rows_are_shown_as_tables(weights: Path) -> None:
    run = Run()
    rows = [{"slice": "a", "dice": 0.5}, {"slice": "b", "dice": None, "reason": "empty"}]
    lineage.log_evaluation(run, "grid", [weights], {"dice": 0.5}, {"slices": rows})
    table = run.told[-1][1]["evaluation/slices"]
    assert table.columns == ["slice", "dice", "reason"]
    assert table.data == [["a", 0.5, None], ["b", None, "empty"]]


def test_row_of_many_numbers_is_kept_whole(weights: Path) -> None:
    run = Run()
    row = {f"score_{i}": 0.5 for i in range(150)}  # W&B refuses more than 100 keys
    lineage.log_evaluation(run, "longitudinal", [weights], row, {})
    assert run.told[0][1].metadata == {"row": row}


def test_checkpoint_names_the_run_that_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = SimpleNamespace(id="abc", name="first", group=None)
    monkeypatch.setattr(lineage, "wandb_run", lambda logger: run)
    module = pl.LightningModule()
    trainer = pl.Trainer(accelerator="cpu", logger=CSVLogger(tmp_path), callbacks=[
        callback := lineage.RunInCheckpoint()], enable_model_summary=False)  # fmt: skip
    callback.on_fit_start(trainer, module)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert lineage.run_in_checkpoint(tmp_path / "last.ckpt") == {"id": "abc", "name": "first"}

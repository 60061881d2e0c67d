"""The logger of a job: W&B's values, nothing of W&B without it, what is told of data."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import DictConfig

from mechlearn.config import tracking
from mechlearn.evaluation.leaderboards import Leaderboard

Compose = Callable[..., DictConfig]


def test_csv_needs_nothing_of_wandb(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # now its import fails
    cfg = composed("evaluate")
    with tracking.running_logger(cfg) as logger:
        tracking.begin(logger, cfg)
        row = {"job": "sizes", "spearman": 0.9}
        page = Leaderboard(tmp_path / "leaderboard.html", "Leaderboard", (), 0)
        tracking.end_evaluation(logger, cfg, None, row, page)
    assert "0.9" in (tracking.output_dir() / "csv" / "metrics.csv").read_text()


def test_wandb_run_is_not_begun_before_it_is_written_to(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with tracking.running_logger(composed("train", "logger=wandb")) as logger:
        assert logger.version is None


def wandb_values(cfg: DictConfig) -> dict:
    with tracking.running_logger(cfg) as logger:
        return dict(logger._wandb_init)


def test_tags_are_kind_data_version_and_the_researchers(composed: Compose) -> None:
    tags = wandb_values(composed("train", "logger=wandb", "logger.tags=[pilot]"))["tags"]
    assert tags[:2] == ["ddpm", "phantom"]
    assert tags[2].startswith("v")
    assert tags[3:] == ["pilot"]


def test_single_contrast_and_law_are_tags(composed: Compose) -> None:
    words = ["logger=wandb", "task=longitudinal", "growth=ode", "data.contrasts=[t2f]"]
    tags = wandb_values(composed("evaluate", *words))["tags"]
    assert {"segmenter", "t2f", "ode"} <= set(tags)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    run = {"id": "abc123", "name": "first", "group": "sweep/1"}
    torch.save({"state_dict": {}, "callbacks": {"RunInCheckpoint": run}}, path)
    return path


def test_resumed_training_goes_on_in_its_run(composed: Compose, checkpoint: Path) -> None:
    values = wandb_values(composed("train", "logger=wandb", f"resume={checkpoint}"))
    assert (values["id"], values["name"], values["group"]) == ("abc123", "first", "sweep/1")
    assert values["resume"] == "allow"


def test_run_asked_for_by_id_is_taken(composed: Compose, checkpoint: Path) -> None:
    words = ["logger=wandb", f"resume={checkpoint}", "logger.id=mine"]
    assert wandb_values(composed("train", *words))["id"] == "mine"


def test_checkpoint_of_a_csv_run_begins_a_new_wandb_run(composed: Compose, tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "callbacks": {}}, tmp_path / "last.ckpt")
    words = ["logger=wandb", f"resume={tmp_path}/last.ckpt"]
    assert wandb_values(composed("train", *words))["id"] is None


def test_wandbs_refusal_names_the_remedies(composed: Compose) -> None:
    refusal = type("UsageError", (Exception,), {"__module__": "wandb.errors"})

    class Refusing:
        def log_hyperparams(self, params: dict) -> None:
            raise refusal("No API key configured.")

    with pytest.raises(ValueError, match=r"No API key configured.*logger\.offline=true"):
        tracking.begin(Refusing(), composed("train", "logger=wandb"))  # type: ignore[arg-type]


def test_uploads_wait_in_the_runs_folder(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(tracking.DATA_DIR, raising=False)
    with tracking.running_logger(composed("train")):
        assert Path(os.environ[tracking.DATA_DIR]).parent == tracking.output_dir()
    assert tracking.DATA_DIR not in os.environ


class Cohort:
    """Two patients of two visits each, as a store shows them."""

    def __init__(self, tumour_px: tuple[int, ...] = (0, 7)) -> None:
        self.tumour_px = tumour_px

    def card(self) -> dict:
        return {"contrasts": ["t2f"], "size": 64, "pixel_mm": 2.0}

    def patients(self, split: str) -> list[str]:
        return {"train": ["Anna-Muster"], "val": ["Karl-Muster"], "test": []}[split]

    def visits(self, patient: str) -> list[SimpleNamespace]:
        record = SimpleNamespace(source="clinic")
        return [
            SimpleNamespace(patient=patient, session=s, day=30.0 * i, record=record, zs=(4, 5),
                            brain_px=(90, 95), tumour_px=self.tumour_px)
            for i, s in enumerate(("a", "b"))
        ]  # fmt: skip


def test_data_are_summarized_by_counts() -> None:
    summary = tracking.data_summary(Cohort())  # type: ignore[arg-type]
    train = {k: v for k, v in summary["splits"]["train"].items() if k != "digest"}
    assert train == {"patients": 1, "visits": 2, "slices": 4, "slices_with_tumour": 2}
    assert summary["sources"] == {"clinic": 4}


def test_no_patient_is_named() -> None:
    assert "Muster" not in json.dumps(tracking.data_summary(Cohort()))  # type: ignore[arg-type]


def test_other_tumours_are_other_data() -> None:
    first, same, other = Cohort(), Cohort(), Cohort(tumour_px=(0, 8))
    summaries = [tracking.data_summary(c) for c in (first, same, other)]  # type: ignore[arg-type]
    assert summaries[0] == summaries[1]
    assert summaries[0] != summaries[2]

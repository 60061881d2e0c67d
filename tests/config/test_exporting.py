"""The export command: a folder from checkpoints, or one clear line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mechlearn.config.exporting import export_models
from mechlearn.models.checkpoints import load_denoiser, load_guide

Command = Callable[..., tuple[int, str]]


def test_packaged_pair_is_exported_with_its_recipe(composed: Callable[..., DictConfig],
                                                   tmp_path: Path) -> None:
    out = tmp_path / "exports" / "demo"
    cfg = composed("export", f"out={out}", "guide=regressor", "sampler=fast", "sampler.nl=150",
                   "half=true", "name=demo")
    assert export_models(cfg) == out
    manifest = json.loads((out / "config.json").read_text())["mechlearn"]
    assert (manifest["name"], manifest["sampler"]["nl"]) == ("demo", 150)
    # The packaged weights are float16 already: half loses nothing more.
    assert load_denoiser(out).digest == load_denoiser().digest
    assert load_guide(out).digest == load_guide(kind="regressor").digest


def test_recipe_is_that_of_forecast_by_default(composed: Callable[..., DictConfig]) -> None:
    assert composed("export").sampler == composed("forecast").sampler


def test_unknown_training_data_are_asked_for(
    composed: Callable[..., DictConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = export_models(composed("export", f"out={tmp_path / 'first'}"))
    manifest = first / "config.json"
    content = json.loads(manifest.read_text())
    del content["mechlearn"]["models"]["guide"]["card"]["trained_on"]
    manifest.write_text(json.dumps(content))
    again = [f"checkpoints.denoiser={first}", f"checkpoints.guide={first}"]
    with caplog.at_level(logging.WARNING):
        export_models(composed("export", f"out={tmp_path / 'second'}", *again))
        assert "card of the guide" in caplog.text
        caplog.clear()
        export_models(composed("export", f"out={tmp_path / 'third'}", *again, "trained_on=mine"))
        assert not caplog.text


@pytest.mark.parametrize(("override", "words"), [
    ("format=onnx", "format='onnx': must be one of safetensors, monai, huggingface"),
    ("name='my model'", "name='my model'"),
    ("sampler.nl=0", "sampler.nl=0"),
    ("checkpoints.denoiser=nowhere.pt", "nowhere.pt: no such file"),
])
def test_wrong_value_is_one_line(command: Command, override: str, words: str) -> None:
    status, err = command("export", override)
    assert status == 1
    assert words in err
    assert "Traceback" not in err


def test_existing_folder_is_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("years of work")
    status, err = command("export", "out=taken")
    assert status == 1
    assert "out=taken" in err
    assert "Traceback" not in err

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from mechlearn.config.tasks import TASKS, task_config


@pytest.mark.parametrize("override", [
    "task.count=0", "task.patients=0", "task.slices=-1", "task.folds=1", "task.floor=0",
    "task.laws=[]",
])
def test_numbers_of_a_task_are_checked(composed: Callable[..., DictConfig], override: str) -> None:
    with pytest.raises(ValueError, match=override.split("=")[0]):
        task_config(composed("evaluate", override))


def test_a_law_of_a_population_is_checked(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match="'cubic'"):
        task_config(composed("evaluate", "task.laws=[ode,cubic]"))


def test_images_come_from_a_split_of_images(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match=r"task\.split='series'"):
        task_config(composed("evaluate", "task.split=series"))


def test_gain_is_not_written_into_an_exported_pair(
    composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    cfg = composed("evaluate", "task=gain", f"checkpoints.guide={tmp_path}")
    pair = SimpleNamespace(guide=SimpleNamespace(source=str(tmp_path)))
    with pytest.raises(ValueError, match="exported pairs are not rewritten"):
        TASKS["gain"](cfg, task_config(cfg), pair, None, [])  # type: ignore[arg-type]

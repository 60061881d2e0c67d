from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from mechlearn.config.evaluating import open_job, task_spec
from mechlearn.evaluation import gain
from mechlearn.evaluation.job import Job
from mechlearn.models.checkpoint_files import packaged


@pytest.mark.parametrize("override", [
    "task.count=0", "task.patients=0", "task.slices=-1", "task.folds=1", "task.floor=0",
    "task.laws=[]",
])
def test_numbers_of_a_task_are_checked(composed: Callable[..., DictConfig], override: str) -> None:
    with pytest.raises(ValueError, match=override.split("=")[0]):
        task_spec(composed("evaluate", override))


def test_a_law_of_a_population_is_checked(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match="'cubic'"):
        task_spec(composed("evaluate", "task.laws=[ode,cubic]"))


def test_images_come_from_a_split_of_images(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match=r"task\.split='series'"):
        open_job(composed("evaluate", "task.split=series"))


@pytest.mark.parametrize("module", ["mechlearn.evaluation.rows", "no_such_module"])
def test_a_module_without_an_evaluation_is_refused(
    composed: Callable[..., DictConfig], module: str
) -> None:
    with pytest.raises(ValueError, match=rf"task\.evaluation='{module}'.*task=sizes"):
        open_job(composed("evaluate", f"task.evaluation={module}"))


@pytest.mark.parametrize("source", [None, packaged("segmenter")])
def test_gain_is_not_written_into_an_exported_or_packaged_pair(
    composed: Callable[..., DictConfig], tmp_path: Path, source: Path | None
) -> None:
    task = task_spec(composed("evaluate", "task=gain"))
    guide = SimpleNamespace(source=str(source or tmp_path), kind="segmenter")
    models = SimpleNamespace(guide=guide, sampler=SimpleNamespace(spec=None))
    with pytest.raises(ValueError, match="exported pairs are not rewritten"):
        gain.EVALUATION.cases(Job(task, tmp_path, models=models))  # type: ignore[arg-type]

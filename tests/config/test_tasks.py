from __future__ import annotations

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from mechlearn.config.tasks import phantom_patients, spread, task_config


def test_spread_takes_patients_in_turns() -> None:
    assert spread([["a1", "a2", "a3"], ["b1"], ["c1", "c2"]], 5) == ["a1", "b1", "c1", "a2", "c2"]


def test_spread_without_limit_keeps_all() -> None:
    assert sorted(spread([[1, 2], [], [3]], None)) == [1, 2, 3]


def test_only_the_asked_phantoms_are_named(composed: Callable[..., DictConfig]) -> None:
    cfg = composed("evaluate", "data.phantom.n_test=5")
    assert phantom_patients(cfg, "test", 2) == ["MLP-GLI-90001", "MLP-GLI-90002"]
    assert len(phantom_patients(cfg, "test", None) or []) == 5


def test_other_data_names_no_phantoms(composed: Callable[..., DictConfig]) -> None:
    assert phantom_patients(composed("evaluate", "data=brats"), "test", 2) is None


@pytest.mark.parametrize("override", ["task.count=0", "task.patients=0", "task.slices=-1"])
def test_numbers_of_slices_are_checked(composed: Callable[..., DictConfig], override: str) -> None:
    with pytest.raises(ValueError, match=override.split("=")[0]):
        task_config(composed("evaluate", override))

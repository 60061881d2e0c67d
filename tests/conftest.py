"""Shared by all rooms: recipes composed in memory, commands run in this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict


def pytest_configure() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """What was imported until now stays: the collector need not walk it again and again."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def fresh_hydra() -> Iterator[None]:
    """No Hydra state from another test, and none left behind."""
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    yield
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None


@pytest.fixture(scope="session")
def compose_into() -> Callable[..., DictConfig]:
    """compose_into(folder, command, *overrides) -> config, as the command would see it."""
    from mechlearn.config import recipes, schema  # seconds, which a run's controller is spared

    schema.register()

    def make(folder: Path, command: str, *overrides: str) -> DictConfig:
        with initialize_config_dir(version_base="1.3", config_dir=recipes.conf_dir()):
            places = [f"paths.outputs={folder}", f"hydra.run.dir={folder}/run"]
            cfg = compose(command, [*overrides, *places], return_hydra_config=True)
        with open_dict(cfg):
            cfg.hydra.runtime.output_dir = str(folder / "run")
        HydraConfig.instance().set_config(cfg)
        with open_dict(cfg):
            del cfg["hydra"]
        return cfg

    return make


@pytest.fixture
def composed(
    fresh_hydra: None, compose_into: Callable[..., DictConfig], tmp_path: Path
) -> Callable[..., DictConfig]:
    """compose(command, *overrides) -> config, as the command would see it, outputs in tmp_path."""
    return partial(compose_into, tmp_path)


@pytest.fixture
def command(
    fresh_hydra: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:  # fmt: skip
    """command("train", "sampler.nl=0") -> (exit status, stderr), run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    def run(name: str, *overrides: str) -> tuple[int, str]:
        from importlib import import_module

        monkeypatch.setattr(sys, "argv", [f"{name}.py", *overrides])
        status = 0
        try:
            import_module(f"mechlearn.{name}").main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        return status, capfd.readouterr().err

    return run

"""Shared by all rooms: recipes composed in memory, commands run in this process."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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


SPLITS = {"p1": "train", "p2": "train", "p3": "val", "p4": "test", "p5": "test"}


def write_patient(root: Path, name: str, rng: Any, *, visits: int = 5) -> list:
    """An ellipsoid brain with a growing ball in it, 60 mm wide, 2 mm voxels."""
    import nibabel as nib
    import numpy as np

    from mechlearn.data.manifest import VisitRecord
    from mechlearn.records import CONTRASTS

    axis = (np.indices((28, 28, 10)) - np.array([13.5, 13.5, 4.5])[:, None, None, None]) * 2.0
    brain = (axis[0] / 26) ** 2 + (axis[1] / 26) ** 2 + (axis[2] / 12) ** 2 < 1
    centre = rng.uniform(-6, 6, 2)
    distance = np.hypot(axis[0] - centre[0], axis[1] - centre[1])
    texture = rng.normal(0, 3, brain.shape)
    records = []
    for i in range(visits):
        tumour = brain & (distance < 5 + 1.5 * i)
        folder, images = root / name / f"v{i}", {}
        folder.mkdir(parents=True)
        for c, contrast in enumerate(CONTRASTS):
            volume = np.where(brain, 100 + 10 * c + texture + 60 * tumour, 0).astype(np.float32)
            images[contrast] = folder / f"{contrast}.nii.gz"
            nib.save(nib.Nifti1Image(volume, np.diag([2.0, 2.0, 2.0, 1.0])), images[contrast])
        seg = folder / "seg.nii.gz"
        nib.save(nib.Nifti1Image((2 * tumour).astype(np.uint8), np.diag([2.0, 2, 2, 1])), seg)
        records.append(VisitRecord(name, f"v{i}", images, seg, "brats2023", day=30.0 * i))
    return records


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """visits.csv of a tiny cohort with its splits: five patients of five visits."""
    import numpy as np

    from mechlearn.data.manifest import write_manifest
    from mechlearn.data.splits import write_splits

    root = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    records = [r for name in SPLITS for r in write_patient(root, name, rng)]
    write_splits(SPLITS, root / "splits.json")
    return write_manifest(records, root / "visits.csv")


@pytest.fixture(scope="session")
def real_brats() -> Path:
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    root = Path(os.environ.get("MECHLEARN_REAL_DATA", default)) / "brats2021"
    if not root.is_dir():
        pytest.skip(f"no real cases at {root}; set MECHLEARN_REAL_DATA")
    return root

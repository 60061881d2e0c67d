"""The floors of the house: a room imports only what stands below it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import mechlearn

PACKAGE = Path(mechlearn.__file__).parent
FLOORS = {
    "records": 0, "checks": 0,
    "growth": 1, "diffusion": 1, "imaging": 1, "metrics": 1,
    "data": 2, "training": 2,
    "jobs": 3, "report": 3,
    "config": 4, "prepare": 4, "train": 4, "evaluate": 4, "forecast": 4, "collect": 4,
}  # fmt: skip
ENTRY_POINTS = ("prepare", "train", "evaluate", "forecast", "collect")
STANDARD = frozenset(sys.stdlib_module_names)
THIRD_PARTY = {
    "records": {"numpy", "torch"},
    "checks": {"numpy"},
    "growth": {"numpy", "scipy", "lmfit"},
    "diffusion": {"numpy", "torch", "monai"},
    "imaging": {"numpy", "scipy", "skimage", "torch"},
    "metrics": {"numpy", "scipy", "torch", "monai", "torchmetrics", "scoringrules"},
    "data": {"numpy", "scipy", "torch", "nibabel", "nilearn", "pytorch_lightning", "rich"},
    "training": {"PIL", "numpy", "torch", "pytorch_lightning", "hydra", "wandb", "rich"},
    "jobs": {"numpy", "torch", "yaml", "rich"},
    "report": {"numpy", "matplotlib", "jinja2", "torch"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str | None:
    """`mechlearn.growth.laws` -> `growth`; None for the package itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "mechlearn" and len(parts) > 1 else None


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            assert node.module is not None
            found.add(node.module)
            if node.module == "mechlearn":
                found |= {f"mechlearn.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_room_has_a_floor(path: Path) -> None:
    room = room_of(module_name(path))
    assert room is None or room in FLOORS, f"{path}: no such room; the house is fixed"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_room_imports_only_what_stands_below(path: Path) -> None:
    here = room_of(module_name(path))
    for name in imports_of(path):
        there = room_of(name)
        if here is None or there is None or there in (here, "__version__"):
            continue
        below = FLOORS[there] < FLOORS[here]
        ground = FLOORS[here] == FLOORS[there] == 0
        top = FLOORS[here] == 4 and there == "config"
        assert below or ground or top, f"{path.name}: {here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_room_keeps_to_its_packages(path: Path) -> None:
    room = room_of(module_name(path))
    if room not in THIRD_PARTY:
        return
    foreign = {name.split(".")[0] for name in imports_of(path)} - STANDARD - {"mechlearn"}
    assert foreign <= THIRD_PARTY[room], f"{path.name}: {room} may not import {foreign}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_hydra_stays_upstairs(path: Path) -> None:
    room = room_of(module_name(path))
    hydra = {n for n in imports_of(path) if n.split(".")[0] in ("hydra", "omegaconf")}
    if module_name(path) == "mechlearn.training.checkpoints":
        assert hydra <= {"hydra", "hydra.utils"}, "the loader may instantiate, nothing more"
    elif room is not None and FLOORS[room] < 4:
        assert not hydra, f"{path}: Hydra belongs to config/ and the entry points"


def test_growth_never_meets_torch() -> None:
    for path in (PACKAGE / "growth").glob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imports_of(path)), path


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_entry_point_is_short(name: str) -> None:
    assert len((PACKAGE / f"{name}.py").read_text().splitlines()) <= 60


def test_there_is_no_drawer_called_utils() -> None:
    assert not [path for path in MODULES if "utils" in path.stem]

"""The floors of the house: a room imports only what stands below it."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

import mechlearn

PACKAGE = Path(mechlearn.__file__).parent
HELPERS = ("agreement", "checks", "extras", "file_entries", "files", "processes", "progress")
FLOORS = {
    "records": 0, **dict.fromkeys(HELPERS, 0),
    "growth": 1, "diffusion": 1, "spatial": 1, "metrics": 1,
    "data": 2, "phantom": 2, "models": 2,
    "report": 2.5, "evaluation": 3,
    "results": 3.5, "api": 4, "__main__": 5, "score": 5,
    "config": 5, "prepare": 5, "train": 5, "evaluate": 5, "forecast": 5, "collect": 5, "export": 5,
}  # fmt: skip
TOP = 5
ENTRY_POINTS = ("prepare", "train", "evaluate", "forecast", "score", "collect", "export")
STANDARD = frozenset(sys.stdlib_module_names)
THIRD_PARTY = {
    "records": {"numpy", "torch"},  # torch for type checking alone
    "agreement": {"numpy"},
    "checks": {"numpy"},
    "file_entries": {"numpy"},
    "extras": set(),
    "files": {"filelock", "numpy"},
    "progress": {"rich"},
    "growth": {"numpy", "scipy", "lmfit"},
    "diffusion": {"numpy", "torch"},
    "spatial": {"numpy", "scipy", "skfmm", "skimage", "torch"},
    "metrics": {"numpy", "scipy", "torch", "monai", "torchmetrics"},
    "data": {"numpy", "scipy", "torch", "nibabel", "nilearn", "pytorch_lightning", "rich",
             "blosc2", "openpyxl", "xxhash", "dcm2niix", "highdicom", "pydicom",
             "SimpleITK", "picsl_greedy"},
    "phantom": {"numpy", "scipy", "torch", "nibabel", "nilearn", "rich"},
    "models": {"PIL", "numpy", "torch", "pytorch_lightning", "monai", "torchmetrics", "wandb",
               "rich", "safetensors", "huggingface_hub", "yaml"},
    "evaluation": {"numpy", "scipy", "torch", "yaml", "rich", "matplotlib"},  # the last for types
    "report": {"numpy", "scipy", "matplotlib", "jinja2", "rich", "torch"},
}
HYDRA = ("hydra", "omegaconf")
MODULES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(module: str) -> str | None:
    """`mechlearn.growth.models` -> `growth`; None for the package itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "mechlearn" and len(parts) > 1 else None


@cache
def imports_of(path: Path) -> frozenset[str]:
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
    return frozenset(found)


def is_allowed(here: str | None, there: str | None) -> bool:
    """Whether a module of the room `here` may import one of the room `there`."""
    if here is None or there is None or there in (here, "__version__"):
        return True
    below = FLOORS[there] < FLOORS[here]
    if (here, there) == ("phantom", "data"):
        return True  # phantoms are written in the layouts of data
    ground = FLOORS[here] == FLOORS[there] == 0
    return below or ground or (FLOORS[here] == TOP and there == "config")


# Each test names every violation at once: a test a module would be hundreds that say the same.


def test_rooms_have_a_floor() -> None:
    rooms = {room_of(module_name(path)) for path in MODULES} - {None}
    assert rooms <= set(FLOORS), "no such room; the house is fixed"


def test_rooms_import_only_what_stands_below() -> None:
    assert not [
        f"{module_name(path)} imports {name}" for path in MODULES for name in imports_of(path)
        if not is_allowed(room_of(module_name(path)), room_of(name))
    ]  # fmt: skip


def test_rooms_keep_to_their_packages() -> None:
    foreign = {
        module_name(path): {name.split(".")[0] for name in imports_of(path)}
        - STANDARD - {"mechlearn"} - THIRD_PARTY[room]
        for path in MODULES if (room := room_of(module_name(path))) in THIRD_PARTY
    }  # fmt: skip
    assert not {name: packages for name, packages in foreign.items() if packages}


def test_hydra_stays_upstairs() -> None:
    """It belongs to config/ and the entry points."""
    below = [p for p in MODULES if FLOORS.get(room_of(module_name(p)) or "", TOP) < TOP]
    hydra = {
        module_name(path): {n for n in imports_of(path) if n.split(".")[0] in HYDRA}
        for path in below
    }
    assert hydra.pop("mechlearn.models.checkpoints") <= {"hydra", "hydra.utils"}
    assert not {name: found for name, found in hydra.items() if found}


def test_growth_never_meets_torch() -> None:
    for path in (PACKAGE / "growth").glob("*.py"):
        assert not any(name.split(".")[0] == "torch" for name in imports_of(path)), path


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_entry_point_is_short(name: str) -> None:
    assert len((PACKAGE / f"{name}.py").read_text().splitlines()) <= 60


def test_there_is_no_drawer_called_utils() -> None:
    assert not [path for path in MODULES if "utils" in path.stem]

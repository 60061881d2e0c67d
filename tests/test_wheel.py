"""The wheel holds all that the commands need, and runs away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mechlearn

CHECKOUT = Path(mechlearn.__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHECKOUT / "pyproject.toml").is_file(), reason="needs the checkout to build from"
    ),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(CHECKOUT)], check=True)
    return next(folder.glob("mechlearn-*.whl"))


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_module(wheel: Path) -> None:
    sources = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "mechlearn").rglob("*.py")}
    assert sources <= members(wheel)


def test_wheel_holds_every_recipe(wheel: Path) -> None:
    recipes = {p.relative_to(CHECKOUT).as_posix() for p in (CHECKOUT / "conf").rglob("*.yaml")}
    assert {f"mechlearn/{name}" for name in recipes} <= members(wheel)


def test_wheel_holds_weights_templates_and_the_typing_mark(wheel: Path) -> None:
    names = members(wheel)
    assert {f"mechlearn/weights/{k}.pt" for k in ("ddpm", "regressor", "segmenter")} <= names
    assert "mechlearn/report/templates/page.html.j2" in names
    assert {f"mechlearn/report/assets/{n}" for n in ("niivue.umd.js", "NIIVUE_LICENSE", "viewer.js")
            } <= names  # fmt: skip
    assert "mechlearn/py.typed" in names


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in members(wheel)}
    assert tops == {"mechlearn", f"mechlearn-{mechlearn.__version__}.dist-info"}


@pytest.mark.parametrize("command", ["train", "evaluate", "forecast", "prepare", "export"])
def test_wheel_composes_outside_the_checkout(wheel: Path, tmp_path: Path, command: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    line = [sys.executable, "-m", f"mechlearn.{command}", "--info", "config"]
    done = subprocess.run(
        line, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert str(tmp_path / "site" / "mechlearn" / "conf") in done.stdout

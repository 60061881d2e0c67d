"""The contract of experiments/: a README, the commands, bounds for every profile, a comparison."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "experiments"
EXPERIMENTS = sorted(path.parent for path in HERE.rglob("run.sh"))
SCRIPTS = sorted(HERE.rglob("*.py"))


def imported_names(script: Path) -> list[tuple[str, str]]:
    """(module, name) of every import at the top of a script; name is empty for `import module`."""
    found = []
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(HERE)))
def test_imports_of_a_script_exist(script: Path) -> None:
    for module, name in imported_names(script):
        beside = script.parent / f"{module}.py"
        if beside.is_file():
            names = {
                target for node in ast.parse(beside.read_text()).body for target in defined(node)
            }
            assert name in names, f"{beside.name} defines no {name}"
        else:
            found = importlib.import_module(module)
            assert not name or hasattr(found, name) or find_spec(f"{module}.{name}"), (module, name)


def defined(node: ast.stmt) -> list[str]:
    """Names that a statement of a module defines."""
    if isinstance(node, ast.Assign):
        return [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    return [node.name] if hasattr(node, "name") else []


def compared(tmp_path: Path, expected: dict, result: dict | None) -> subprocess.CompletedProcess:
    """Run a copy of compare.py on one experiment called `x`."""
    folder = tmp_path / "experiments" / "x"
    folder.mkdir(parents=True)
    (tmp_path / "experiments" / "compare.py").write_text((HERE / "compare.py").read_text())
    (folder / "expected.json").write_text(json.dumps({"smoke": expected}))
    if result is not None:
        out = tmp_path / "outputs" / "experiments" / "x"
        out.mkdir(parents=True)
        (out / "result.json").write_text(json.dumps(result))
    line = [sys.executable, "experiments/compare.py", "x", "smoke"]
    return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda path: path.name)
def test_experiment_keeps_the_contract(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    expected = json.loads((folder / "expected.json").read_text())
    assert set(expected) <= {"smoke", "full"}
    assert "smoke" in expected
    for bounds in (pair for profile in expected.values() for pair in profile.values()):
        low, high = bounds
        assert low is None or high is None or low <= high


def test_values_within_bounds_pass(tmp_path: Path) -> None:
    assert compared(tmp_path, {"a": [0, 1], "b": [None, 3]}, {"a": 0.5, "b": -7}).returncode == 0


@pytest.mark.parametrize(
    ("result", "word"), [({"a": 2.0}, "too high"), ({"a": -1}, "too low"), ({}, "missing")]
)
def test_values_out_of_bounds_are_named(tmp_path: Path, result: dict, word: str) -> None:
    done = compared(tmp_path, {"a": [0, 1]}, result)
    assert done.returncode == 1
    assert word in done.stdout


def test_experiment_without_a_result_is_an_error(tmp_path: Path) -> None:
    done = compared(tmp_path, {"a": [0, 1]}, None)
    assert done.returncode == 2
    assert "left no result" in done.stderr

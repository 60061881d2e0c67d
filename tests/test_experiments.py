"""The contract of experiments/: a README, the commands, bounds for every profile, a comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "experiments"
EXPERIMENTS = sorted(path.parent for path in HERE.rglob("run.sh"))




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

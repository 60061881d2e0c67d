"""The fault script at its smoke profile: nothing lost, wrong, left or unexplained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1] / "experiments" / "benchmarks" / "faults"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import os; os.system('true')", "executions"),
        ("open('executed', 'w')", "executions"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "downloads"),
        ("open('../../escaped', 'w')", "outside"),
        ("raise RuntimeError('ESCAPED')", "outside"),
    ],
)
def test_what_a_hostile_file_does_is_noticed(tmp_path, monkeypatch, code, kind):
    monkeypatch.syspath_prepend(str(HERE))
    pytest.importorskip("pytorch_lightning")
    from hostile import Sample, count

    found = count(tmp_path, [Sample("own", "own", lambda: exec(code))])
    assert {k: found[k] for k in ("executions", "downloads", "outside")}[kind] == 1


@pytest.mark.slow
def test_faults_lose_nothing_and_bad_inputs_are_answered_in_one_line(tmp_path):
    line = [sys.executable, str(HERE / "faults.py"), str(tmp_path), "--kills", "4", "--flips", "12",
            "--commands", "1", "--disks", "0", "--hostile", "4"]  # fmt: skip
    paths = os.pathsep.join(filter(None, [str(HERE.parents[2]), os.environ.get("PYTHONPATH")]))
    subprocess.run(line, check=True, env={**os.environ, "PYTHONPATH": paths})
    result = json.loads((tmp_path / "result.json").read_text())
    bounds = json.loads((HERE / "expected.json").read_text())["smoke"]
    for key, (low, high) in bounds.items():
        assert low <= result.get(key, 0) <= (float("inf") if high is None else high), key

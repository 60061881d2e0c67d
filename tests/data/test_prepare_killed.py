"""kill -9 at random moments of `python -m mechlearn.prepare` loses nothing and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.manifest import write_manifest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_killed_prepare_ends_with_the_store_of_one_that_was_not(tmp_path, case_of, visit_of):
    rng = np.random.default_rng(0)
    records = [
        visit_of(case_of(10 * p + v, radius=rng.uniform(3, 6)), patient=f"P{p:02d}",
                 session=f"s{v}", day=30.0 * v)
        for p in range(30) for v in range(2)
    ]  # fmt: skip
    records[7].images["t2w"].write_bytes(b"no image")  # a bad visit is left out in both
    manifest = write_manifest(records, tmp_path / "visits.csv")

    def command(name: str) -> list[str]:
        return [sys.executable, "-m", "mechlearn.prepare", "data=manifest",
                f"data.manifest={manifest}", f"data.name={name}", f"paths.stores={tmp_path}/stores",
                "data.skip_bad=true", "data.workers=2", "data.prepare.size=48",
                "data.prepare.pixel_mm=1.0", "data.prepare.min_brain_mm2=50",
                f"hydra.run.dir={tmp_path}/run"]  # fmt: skip

    start = time.monotonic()
    subprocess.run(command("whole"), check=True, cwd=ROOT, capture_output=True)
    whole = tmp_path / "stores" / "whole"
    cards = [path.stat().st_mtime for path in whole.glob("visits/*/*/visit.json")]
    work_s = max(cards) - (whole / "store.json").stat().st_mtime
    assert len(cards) == 59
    assert work_s < time.monotonic() - start
    done = subprocess.run(
        [sys.executable, "experiments/cohort_brats2023/kills.py", "--kills", "4",
         "--work-s", str(work_s), "--store", str(tmp_path / "stores" / "killed"),
         "--reference", str(whole), "--result", str(tmp_path / "result.json"), "--",
         *command("killed")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["kills"] >= 1
    assert result["files_differing"] == 0
    assert result["files_compared"] == 2 * 59 + 4  # store, splits, bad visits and the lock

"""Worker processes end with their parent, and start inside a job of a joblib sweep."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mechlearn.processes import worker_pool


def test_worker_ends_with_its_parent():
    """The parent ends without a word to its child, as a killed one does."""
    code = (
        "import os, sys, time\n"
        "from mechlearn.processes import die_with\n"
        "parent = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    die_with(parent)\n"
        "    time.sleep(60)\n"
        "os._exit(0)\n"
    )
    # The child holds the other end of the pipe: it is closed only when the child is gone.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=True)
    assert done.stdout == b""


def in_pool(numbers: list[int], method: str | None) -> list[int]:
    with worker_pool(2, method=method) as pool:
        return list(pool.map(abs, numbers))


@pytest.mark.parametrize("method", [None, "spawn"])
def test_pool_works_inside_a_job_of_a_joblib_sweep(method):
    joblib = pytest.importorskip("joblib")
    jobs = (joblib.delayed(in_pool)([-1, 2 * n], method) for n in range(2))
    assert joblib.Parallel(n_jobs=2, backend="loky")(jobs) == [[1, 0], [1, 2]]

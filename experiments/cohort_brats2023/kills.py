"""Kill a command at random moments of its work, run it to its end, and compare what it left.

    python experiments/cohort_brats2023/kills.py --kills 10 --store KILLED --reference WHOLE \
        -- python -m mechlearn.prepare data=brats ... paths.stores=... data.name=KILLED

The command works on a slice store and goes on where it stopped; `--reference` is the store of a run
that was not killed. Kills are SIGKILL, in turn to all its processes and to the first alone, whose
workers must then end by themselves. Leaves RESULT.json beside the store where --result is given.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

POLL_S = 0.01
ORPHANS_S = 0.5  # in which workers notice that they are alone


def files_of(root: Path) -> dict[str, bytes]:
    """Relative path -> content of every file."""
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def differing(store: Path, reference: Path) -> list[str]:
    """Files that are not the same, byte for byte, or stand in one of the stores alone."""
    mine, theirs = files_of(store), files_of(reference)
    return sorted(k for k in {*mine, *theirs} if mine.get(k) != theirs.get(k))


def at_work(store: Path) -> int | None:
    """Something that changes whenever a run begins to work on the store."""
    scratch = store / ".partial"
    try:
        return scratch.stat().st_ctime_ns
    except FileNotFoundError:
        return None


def run_and_kill(command: list[str], store: Path, after_s: float, *, group: bool) -> bool:
    """Start the command and kill it so long after it began to work. False if it ended before."""
    seen = at_work(store)
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    while process.poll() is None and at_work(store) in (None, seen):
        time.sleep(POLL_S)
    begun = time.monotonic()
    while process.poll() is None and time.monotonic() < begun + after_s:
        time.sleep(POLL_S)
    if process.poll() is not None:
        return False
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(ORPHANS_S)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work-s", type=float, required=True,
                        help="seconds of work of a run that is not killed")  # fmt: skip
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--result", type=Path)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    # Moments of the work, in order; what is done is not done again, so a run lasts a gap.
    moments = np.sort(np.random.default_rng(args.seed).random(args.kills)) * args.work_s
    killed, visits = 0, []
    for i, after_s in enumerate(np.diff(moments, prepend=0.0)):
        if run_and_kill(args.command, args.store, float(after_s), group=i % 2 == 0):
            killed += 1
        visits.append(len(list(args.store.glob("visits/*/*/visit.json"))))
        print(f"kill {i + 1}: {visits[-1]} visits in the store", flush=True)  # noqa: T201
    done = subprocess.run(args.command, check=False)
    unlike = differing(args.store, args.reference)
    count = len(files_of(args.reference))
    result = {"kills": killed, "files_compared": count, "files_differing": len(unlike),
              "exit_code": done.returncode}  # fmt: skip
    print(json.dumps(result), *unlike[:10], sep="\n")  # noqa: T201
    if args.result:
        args.result.write_text(json.dumps(result) + "\n")
    sys.exit(int(bool(unlike) or done.returncode != 0))


if __name__ == "__main__":
    main()

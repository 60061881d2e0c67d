"""Kill a training run at random moments, resume it to its end, compare it with one left alone.

    python experiments/interrupted_training/interrupt.py OUT --kills 10 -- \
        python -m mechlearn.train ...

The command is run three times over: once whole, once with SIGKILL to all of its processes at random
moments and `resume=auto`, and, with --ranks N, as N processes with an N-th of --batch each. Every
value that any of the runs logged is compared with that of the whole run. Leaves OUT/result.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from rich.console import Console

Trace = dict[tuple[int, str], float]
TIMED = ("throughput/", "time/")  # what a clock says is not the model's
POLL_S = 0.02


def trace_of(folder: Path) -> Trace:
    """(step, key) -> value of all that a run logged; nothing where it was killed before."""
    path = folder / "csv" / "metrics.csv"
    if not path.is_file():
        return {}
    with path.open() as file:
        return {
            (int(row["step"]), key): float(value)
            for row in csv.DictReader(file)
            for key, value in row.items()
            if value and key not in ("step", "epoch") and not key.startswith(TIMED)
        }


def worst(trace: Trace, reference: Trace) -> float:
    """Largest relative difference of the values that both logged."""
    return max(
        (abs(v - reference[k]) / max(abs(reference[k]), 1e-12) for k, v in trace.items()),
        default=0.0,
    )


def same_weights(one: Path, other: Path) -> bool:
    """Whether two exported models are the same, bit for bit."""
    a, b = (torch.load(p / "model.pt", weights_only=True)["state_dict"] for p in (one, other))
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a run; returns when it has begun to train (its log is there), or has ended."""
    log = folder.with_suffix(".log").open("w")
    line = [sys.executable, *command, f"hydra.run.dir={folder}"]
    process = subprocess.Popen(line, start_new_session=True, stdout=log, stderr=log)
    while process.poll() is None and not (folder / "csv" / "hparams.yaml").is_file():
        time.sleep(POLL_S)
    return process


def finish(process: subprocess.Popen[bytes], folder: Path) -> float:
    """Wait for the end of a run; seconds."""
    begun = time.monotonic()
    if process.wait():
        sys.exit(f"a run failed: see {folder.with_suffix('.log')}")
    return time.monotonic() - begun


def run_killed(command: list[str], folder: Path, kills: int, train_s: float) -> int:
    """Run and kill so often, then run to the end; how often a run was killed while it trained.

    Killed at random moments, on average a little earlier than so many kills would need: a run
    that ends before its kill ends it all.
    """
    rng = random.Random(0)
    for done in range(kills + 1):
        here = folder / f"{done:02d}"
        process = start([*command, "resume=auto", "callbacks.last.every_n_steps=2"], here)
        try:
            if done == kills:
                finish(process, here)
            else:
                process.wait(rng.uniform(0, 1.2 * train_s / (kills + 1)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        else:
            return done
    raise AssertionError("unreachable")


def main() -> None:
    """Run, kill, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--ranks", type=int, default=2)
    at = sys.argv.index("--")
    given, command = parser.parse_args(sys.argv[1:at]), sys.argv[at + 2 :]  # without `python`
    out = given.out.absolute()
    runs = out / "outputs" / "train" / "killed"
    runs.mkdir(parents=True, exist_ok=True)
    base = [*command, f"paths.outputs={out / 'outputs'}"]

    whole = out / "whole"
    alone = [*base, f"data.loader.batch_size={given.batch}"]
    seconds = finish(start([*alone, "name=whole"], whole), whole)
    reference = trace_of(whole)
    Console().print(f"whole run: {seconds:.0f} s of training, {len(reference)} values logged")

    kills = run_killed([*alone, "name=killed"], runs, given.kills, seconds)
    traces = [trace_of(folder) for folder in sorted(runs.iterdir()) if folder.is_dir()]
    seen = {key for trace in traces for key in trace}
    killed_end = max(p.parent for p in runs.glob("*/model.pt"))

    ranks = [*base, f"data.loader.batch_size={given.batch // given.ranks}", "trainer=ddp",
             f"trainer.devices={given.ranks}", "name=ranks"]  # fmt: skip
    finish(start(ranks, out / "ranks"), out / "ranks")
    of_ranks = trace_of(out / "ranks")
    result = {
        "n_kills": kills,
        "n_runs_that_logged": sum(bool(trace) for trace in traces),
        "n_values": len(reference),
        "n_values_missing_after_kills": len(reference.keys() - seen),
        "worst_relative_difference_after_kills": max(worst(t, reference) for t in traces),
        "same_weights_after_kills": int(same_weights(whole, killed_end)),
        "n_values_missing_of_ranks": len(reference.keys() ^ of_ranks.keys()),
        "worst_relative_difference_of_ranks": worst(of_ranks, reference),
        "whole_run_training_s": seconds,
    }
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    Console().print_json(data=result)


if __name__ == "__main__":
    main()

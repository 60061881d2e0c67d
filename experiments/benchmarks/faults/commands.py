"""Whole commands killed at random moments or out of disk space, run again, compared.

Each command runs in a process of its own, forked after its modules were imported. Afterwards the
same command is typed again, and its folder must hold what an undisturbed run leaves.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from cohort import cohort

__all__ = ["COMMANDS", "full_disks_of_commands", "kills_of_commands"]

FORK = get_context("fork")
LONGEST_S = 300.0
# Keys of rows and columns of tables that hold a clock's time.
CLOCK = re.compile(r"throughput|second|created|time|sha256|bytes|digest")
# Logs, marks and locks, and what Hydra and Lightning note for themselves.
NOTES = re.compile(r"\.log$|\.lock$|(^|/)\.|files\.json$|csv/|checkpoints/|cases/|wandb/")
LITTER = re.compile(r"(^|/)(\.partial-|tmp)|unfinished\.json$|failed\.json$")
GRID = ["data.prepare.size=32", "data.prepare.pixel_mm=2.0", "data.prepare.min_brain_mm2=50"]
TINY = [
    "model.network.channels=[8,16]", "model.network.attention_levels=[false,true]",
    "+model.network.norm_num_groups=4", "model.network.stem=1", "model.warmup_steps=0",
    "trainer.max_steps=6", "trainer.val_check_interval=3", "data.loader.val_slices=4",
    "trainer.accelerator=cpu", "trainer.enable_progress_bar=false", "data.loader.batch_size=2",
    "data.loader.num_workers=0", "callbacks=bare", "callbacks.last.every_n_steps=1",
]  # fmt: skip
SAMPLER = ["sampler=fast", "sampler.nl=20", "sampler.steps=2", "accelerator=cpu",
           "growth.n_bootstrap=6"]  # fmt: skip


@dataclass(frozen=True)
class Command:
    """What is typed, and which folder below the working folder its results are in."""

    name: str
    words: tuple[str, ...]
    result: str


def typed(place: Path) -> dict[str, Command]:
    """The commands on the cohort and the tiny pair of `place`."""
    data = ["data=manifest", f"data.manifest={place}/cohort/visits.csv", "data.name=tiny", *GRID,
            "data.splits.val=1", "data.splits.test=1"]  # fmt: skip
    store = [*data, f"paths.stores={place}/stores"]
    pair = [f"checkpoints.{role}={place}/{kind}.pt"
            for role, kind in (("denoiser", "ddpm"), ("guide", "segmenter"))]  # fmt: skip
    patient = [f"patient={place}/cohort/visits.csv", "patient_id=p0"]
    jobs = {
        "prepare": ("prepare", [*data, "paths.stores=out", "hydra.run.dir=run"], "out"),
        "train": ("train", [*store, "model=segmenter_demo", *TINY, "name=again", "resume=auto"],
                  "outputs/train/again"),
        "evaluate": ("evaluate", [*store, *pair, *SAMPLER, "task=sizes", "task.slices=3",
                                  "task.multiples=[0.5,1.5]", "hydra.run.dir=out"], "out"),
        "forecast, volume": ("forecast", [*patient, "day=+30", "draw=0", "hydra.run.dir=out"],
                             "out"),
        "forecast, slices": ("forecast", [*patient, *pair, *SAMPLER, "mode=slices", "count=1",
                                          "maps.nodes=2", "hydra.run.dir=out",
                                          "data.prepare.min_brain_mm2=50"], "out"),
        "export": ("export", [*pair, "sampler=fast", "out=out", "hydra.run.dir=run"], "out"),
        "collect": ("collect", ["sweep"], "sweep"),
    }  # fmt: skip
    return {k: Command(name, tuple(words), result) for k, (name, words, result) in jobs.items()}


COMMANDS = ("prepare", "train", "evaluate", "forecast, volume", "forecast, slices", "export",
            "collect")  # fmt: skip


def run(command: Command, folder: Path, *, kill_after_s: float | None = None) -> tuple[int, str]:
    """(exit status, what the terminal shows) in a process of its own; -9 where it was killed."""
    shown = folder.parent / "shown.txt"
    words = list(command.words)
    if command.name == "train":  # a new folder each time, as by default
        words.append(f"hydra.run.dir={command.result}/{time.time_ns()}")

    def work() -> None:
        os.setsid()
        os.chdir(folder)
        with shown.open("w") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        sys.argv = [f"{command.name}.py", *words]
        sys.exit(import_module(f"mechlearn.{command.name}").main())

    process = FORK.Process(target=work)
    process.start()
    if kill_after_s is None:
        process.join(LONGEST_S)
    else:
        time.sleep(kill_after_s)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    if process.is_alive():
        process.kill()
        return 1, "Traceback: hangs"
    return process.exitcode or 0, shown.read_text() if shown.is_file() else ""


def contents(folder: Path) -> dict[str, Any]:
    """Name -> content of every result, without times and without the folder's place."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    named = {str(p.relative_to(folder)): p for p in files}
    out = {n: _content(p) for n, p in named.items() if not NOTES.search(n) and not LITTER.search(n)}
    return {re.sub(r"^\d{19}/", "", name): value for name, value in out.items()}


def _content(path: Path) -> Any:
    if path.name.endswith((".nii", ".nii.gz")):
        return np.asarray(nib.load(path).dataobj).tobytes()
    if path.suffix == ".npz":
        with np.load(path) as held:
            return {k: v.tobytes() for k, v in held.items()}
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return [_timeless(row) for row in csv.DictReader(stream)]
    if path.suffix == ".pt":
        weights = torch.load(path, weights_only=True)["state_dict"]
        return {k: v.cpu().numpy().tobytes() for k, v in weights.items()}
    if path.suffix in (".html", ".png", ".md", ".py", ".txt"):
        return path.stat().st_size > 0 and (path.suffix != ".html" or "</html>" in path.read_text())
    return path.read_bytes()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if not CLOCK.search(str(k))}
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    return re.sub(r"/\d{19}/", "/", value) if isinstance(value, str) else value


class Bench:
    """Cohort, tiny pair and a sweep, the undisturbed results of all commands, and their times."""

    def __init__(self, folder: Path) -> None:
        self.place = (folder / "commands").absolute()
        self.place.mkdir()
        cohort(self.place / "cohort", visits=3)
        self.commands = typed(self.place)
        self.right: dict[str, dict[str, Any]] = {}
        self.takes: dict[str, float] = {}
        torch.set_num_threads(1)
        for name in ("prepare", "train", "evaluate", "forecast", "export", "collect"):
            import_module(f"mechlearn.{name}")
        for name in ("training", "evaluating", "forecasting", "volume_forecasting"):
            import_module(f"mechlearn.config.{name}")  # forked, not imported again each time
        self._first("prepare")
        shutil.move(self.work / "out", self.place / "stores")
        for kind in ("ddpm", "segmenter"):
            words = [w.replace("segmenter_demo", f"{kind}_demo")
                     for w in self.commands["train"].words]  # fmt: skip
            self._must(Command("train", tuple(words), f"outputs/train/{kind}"))
            (made,) = self.work.rglob("model.pt")
            shutil.copy(made, self.place / f"{kind}.pt")
        for job in ("a", "b"):
            words = (*self.commands["evaluate"].words[:-1], f"hydra.run.dir=sweep/{job}")
            self._must(Command("evaluate", words, "sweep"), fresh=job == "a")
        shutil.move(self.work / "sweep", self.place / "sweep")
        for name in COMMANDS[1:]:
            self._first(name)

    @property
    def work(self) -> Path:
        return self.place / "work"

    def fresh(self) -> None:
        """An empty working folder, but for the sweep that `collect` reads."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        if (self.place / "sweep").is_dir():
            shutil.copytree(self.place / "sweep", self.work / "sweep")

    def _must(self, command: Command, *, fresh: bool = True) -> None:
        if fresh:
            self.fresh()
        status, shown = run(command, self.work)
        if status:
            raise RuntimeError(f"{command.name}, undisturbed: status {status}\n{shown[-3000:]}")

    def _first(self, name: str) -> None:
        begun = time.perf_counter()
        self._must(self.commands[name])
        self.takes[name] = time.perf_counter() - begun
        self.right[name] = contents(self.work / self.commands[name].result)

    def again(self, name: str, found: Counter[str]) -> None:
        """Type the command once more and count what is not as in an undisturbed run."""
        result = self.work / self.commands[name].result
        there = name == "export" and result.is_dir()  # ended before it was killed: it would refuse
        status, shown = (0, "") if there else run(self.commands[name], self.work)
        found["tracebacks"] += "Traceback" in shown
        found["losses"] += status != 0
        now = contents(result) if result.is_dir() else {}
        if status == 0 and now != self.right[name]:
            found["wrong"] += 1
            keys = {k for k in {*now, *self.right[name]} if now.get(k) != self.right[name].get(k)}
            print("differs:", name, sorted(keys)[:8], flush=True)  # noqa: T201
        if status:
            print("fails:", name, status, shown[-1500:], flush=True)  # noqa: T201
        left = [p for p in self.work.rglob("*") if LITTER.search(str(p.relative_to(self.work)))]
        # A training begins a folder each time; what failed before may say so.
        left = [p for p in left if not (name == "train" and p.name == "failed.json")]
        if left:
            print("left:", name, [p.name for p in left], flush=True)  # noqa: T201
        found["litter"] += len(left)


def kills_of_commands(bench: Bench, count: int, draw: random.Random) -> Counter[str]:
    """Every command is killed `count` times at a random moment and typed again."""
    found: Counter[str] = Counter()
    for name in COMMANDS:
        for _ in range(count):
            bench.fresh()
            found["faults"] += 1
            after = draw.uniform(0.0, bench.takes[name])
            run(bench.commands[name], bench.work, kill_after_s=after)
            bench.again(name, found)
    return found


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Callable[[], None]]:
    """A file system of its own in `folder`; what is yielded makes it large. Root alone may."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    grow = ["mount", "-o", "remount,size=512m", str(folder)]
    try:
        yield lambda: subprocess.run(grow, check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def full_disks_of_commands(bench: Bench, count: int, draw: random.Random) -> Counter[str]:
    """No space is left (ENOSPC) in the middle of a command: one line says so; then typed again."""
    found: Counter[str] = Counter()
    for name in COMMANDS:
        bench.fresh()
        kept = bench.work / "sweep"
        run(bench.commands[name], bench.work)
        used_kb = sum(p.stat().st_size // 1024 + 4 for p in bench.work.rglob("*") if p.is_file())
        base_kb = sum(p.stat().st_size // 1024 + 4 for p in kept.rglob("*") if p.is_file())
        for _ in range(count):
            room = base_kb + draw.randint(0, max(used_kb - base_kb - 8, 1))
            try:
                with small_disk(bench.work, max(room, 8)) as grow:
                    shutil.copytree(bench.place / "sweep", kept)
                    found["faults"] += 1
                    status, shown = run(bench.commands[name], bench.work)
                    if status:  # else all of it found a place
                        found["no space"] += 1
                        found["tracebacks"] += "Traceback" in shown
                        said = "No space left" in shown
                        found["unnamed"] += not said
                        if not said or "Traceback" in shown:
                            print("no space:", name, shown[-1500:], flush=True)  # noqa: T201
                    grow()
                    bench.again(name, found)
            except (subprocess.CalledProcessError, shutil.Error, OSError) as error:
                found["no file system of its own"] += 1
                print(f"no small disk: {error}", flush=True)  # noqa: T201
                break
    return found

"""Kills, full disks, vanished folders, two at once and flipped bits: is anything lost or wrong?

    python experiments/benchmarks/faults/faults.py FOLDER --kills 20 --flips 20

Every fault happens in a process of its own. Counted are *losses* (a finished file that is gone or
half), *wrong* (a result that differs from an undisturbed one), *tracebacks* (an error that
`config.errors.user_text` does not know) and *litter* (files beside the results after the next run).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import multiprocessing as mp
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from cohort import cohort
from commands import Bench, full_disks_of_commands, kills_of_commands
from hostile import count as count_hostile
from hostile import samples
from inputs import rows as bad_inputs
from inputs import write as write_table

from mechlearn.config.errors import user_text
from mechlearn.data.manifest import read_manifest
from mechlearn.data.nifti import save_volume
from mechlearn.data.preparation import prepare
from mechlearn.data.store import SliceStore
from mechlearn.data.store_spec import PrepareSpec, SplitSpec
from mechlearn.evaluation.rows import write_row
from mechlearn.evaluation.rows import write_table as write_csv
from mechlearn.files import write_arrays, write_json, write_text
from mechlearn.models.checkpoint_files import packaged
from mechlearn.models.checkpoints import export, load_model

FORK = mp.get_context("fork")
SPEC = PrepareSpec(size=32, pixel_mm=2.0, min_brain_mm2=50.0)
COUNTED = ("losses", "wrong", "tracebacks", "litter", "unnamed")
LONGEST_S = 300.0  # on a busy machine; a disturbed process that takes longer hangs


def in_child(work: Callable[[], object], *, kill_after_s: float | None = None) -> str:
    """'' if `work` ends well in a process of its own, else what its user reads; or 'killed'."""
    ours, theirs = FORK.Pipe(duplex=False)

    def run() -> None:
        logging.disable(logging.CRITICAL)
        try:
            work()
        except BaseException as error:  # noqa: BLE001  what comes out is what is measured
            theirs.send(user_text(error) or f"TRACEBACK {type(error).__name__}: {error}")
        else:
            theirs.send("")

    process = FORK.Process(target=run)
    process.start()
    theirs.close()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join(LONGEST_S)
    if process.is_alive():
        process.kill()
        return "TRACEBACK hangs"
    try:
        return str(ours.recv())
    except EOFError:
        return "killed"


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, resource.RLIM_INFINITY))
    yield


def digest(root: Path) -> str:
    """Of all files of a store but locks and times."""
    total = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.name.endswith("lock")):
        total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()


def litter(folder: Path) -> list[str]:
    """Partial files, scratch folders and marks of unfinished work."""
    return [str(p) for p in folder.rglob("*")
            if p.name.startswith((".partial-", "tmp")) or p.name == "unfinished.json"]  # fmt: skip


WRITERS: dict[str, Callable[[Path, int], object]] = {
    "row.json": lambda p, k: write_row(p, {"k": k, "text": "x" * 20_000}),
    "table.csv": lambda p, k: write_csv(p, [{"k": k, "text": "x" * 20_000}]),
    "card.json": lambda p, k: write_json(p, {"k": k, "text": "x" * 20_000}, digest=True),
    "page.html": lambda p, k: write_text(p, f"{k}" + "x" * 20_000),
    "arrays.npz": lambda p, k: write_arrays(p, {"k": np.random.default_rng(k).random(9_000)}),
    "map.nii.gz": lambda p, k: save_volume(
        np.random.default_rng(k).random((20, 30, 30), np.float32), np.eye(4), p),
    "map.nii": lambda p, k: save_volume(
        np.random.default_rng(k).random((20, 30, 30), np.float32), np.eye(4), p),
    "weights.pt": lambda p, k: export(packaged("regressor"), p, half=bool(k % 2)),
}  # fmt: skip


def kills_of_writers(folder: Path, count: int, draw: random.Random) -> Counter[str]:
    """A process that writes a file over and over is killed; the file is whole, the rest removed."""
    found: Counter[str] = Counter()
    for name, write in WRITERS.items():
        place = Path(tempfile.mkdtemp(dir=folder))
        whole = set()
        for k in (0, 1):
            write(place / name, k)
            whole.add((place / name).read_bytes())
        for _ in range(count):
            def again(path: Path = place / name, write: Callable = write) -> None:
                for k in range(10**6):
                    write(path, k % 2)

            found["faults"] += 1
            in_child(again, kill_after_s=draw.uniform(0.005, 0.06))
            there = place / name
            kept = there.is_file() and (there.read_bytes() in whole or name.endswith("npz"))
            found["losses"] += not kept
            if kept and name.endswith("npz"):
                with np.load(there) as held:
                    found["losses"] += held["k"].shape != (9_000,)
        write(place / name, 0)
        found["litter"] += len(litter(place))
    return found


def kills_of_prepare(folder: Path, count: int, draw: random.Random) -> Counter[str]:
    """A preparation is killed again and again; at its end the store is an undisturbed one."""
    found: Counter[str] = Counter()
    records = read_manifest(cohort(folder / "cohort"))
    splits = SplitSpec(val=1, test=1)

    def make(root: Path, workers: int = 1) -> None:
        prepare(records, root, spec=SPEC, splits=splits, workers=workers)

    begun = time.perf_counter()
    make(folder / "undisturbed")
    takes = time.perf_counter() - begun
    for k in range(count):
        root = folder / f"store{k}"
        for workers in (1, 2):
            found["faults"] += 1
            in_child(lambda r=root, w=workers: make(r, w), kill_after_s=draw.uniform(0, takes))
        told = in_child(lambda r=root: make(r))
        found["tracebacks"] += told.startswith("TRACEBACK")
        found["losses"] += bool(told)
        found["wrong"] += digest(root) != digest(folder / "undisturbed")
        found["litter"] += len(litter(root))
        shutil.rmtree(root)
    for _ in range(max(count // 4, 1)):  # twice at once
        found["faults"] += 1
        root = folder / "both"
        other = FORK.Process(target=make, args=(root,))
        other.start()
        told = in_child(lambda r=root: make(r))
        other.join(LONGEST_S)
        found["tracebacks"] += told.startswith("TRACEBACK")
        found["losses"] += bool(told) or other.exitcode != 0
        found["wrong"] += digest(root) != digest(folder / "undisturbed")
        shutil.rmtree(root)
    return found


def full_disks(folder: Path, count: int, draw: random.Random) -> Counter[str]:
    """No space in the middle of a file: one line names it, the old file stays, nothing is left."""
    found: Counter[str] = Counter()
    for name, write in WRITERS.items():
        place = Path(tempfile.mkdtemp(dir=folder))
        write(place / name, 0)
        before = (place / name).read_bytes()
        for _ in range(max(count // 4, 1)):
            def no_space(path: Path = place / name, write: Callable = write,
                         free: int = draw.randrange(len(before) // 2)) -> None:  # fmt: skip
                with full_disk(free):
                    write(path, 1)

            found["faults"] += 1
            told = in_child(no_space)
            found["tracebacks"] += told.startswith("TRACEBACK")
            found["wrong"] += told == ""
            found["unnamed"] += name not in told
            found["losses"] += (place / name).read_bytes() != before
            found["litter"] += len(litter(place))
        for path in (place / name / "below a file" / name, Path("/proc/none") / name):
            found["faults"] += 1
            told = in_child(lambda p=path, w=write: w(p, 0))
            found["tracebacks"] += told.startswith("TRACEBACK") or not told
        found["faults"] += 1  # the folder vanishes
        told = in_child(lambda p=place, n=name, w=write: (shutil.rmtree(p), w(p / n, 0)))
        found["tracebacks"] += told.startswith("TRACEBACK")
        found["losses"] += not (place / name).is_file()
    return found


def flips(folder: Path, count: int, draw: random.Random) -> Counter[str]:
    """One bit of weights, slices or cards is changed: it is named, or no number depends on it."""
    found: Counter[str] = Counter()
    store = folder / "undisturbed"
    files = sorted(store.glob("visits/*/*/slices.b2nd"))
    cards = sorted(store.glob("visits/*/*/visit.json"))

    def content() -> list[bytes]:
        opened = SliceStore(store)
        return [a.tobytes() for row in opened.slices() for a in opened.arrays(row)]

    weights = folder / "w.pt"
    export(packaged("regressor"), weights, half=True)
    targets: list[tuple[str, list[Path], Callable[[], object]]] = [
        ("weights", [weights], lambda: load_model(weights).digest),
        ("store", files, content), ("cards", cards, content),
    ]  # fmt: skip
    for what, paths, read in targets:
        right = read()
        for _ in range(count):
            path = draw.choice(paths)
            whole = path.read_bytes()
            damaged = bytearray(whole)
            damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
            os.replace(_beside(path, bytes(damaged)), path)
            found["faults"] += 1
            try:
                same = read() == right
            except Exception as error:  # noqa: BLE001  what comes out is what is measured
                text = user_text(error)
                found[f"{what} named"] += text is not None and path.name in text
                found["tracebacks"] += text is None
            else:
                found["wrong"] += not same
                found[f"{what} unchanged"] += same
            os.replace(_beside(path, whole), path)
    return found


def _beside(path: Path, content: bytes) -> Path:
    other = path.with_name(f"new.{path.name}")
    other.write_bytes(content)
    return other


def main() -> None:
    """All faults and all bad inputs; result.json and inputs.csv in FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20, help="of each writer and of prepare")
    parser.add_argument("--commands", type=int, default=20, help="kills of each whole command")
    parser.add_argument("--disks", type=int, default=5, help="full disks of each whole command")
    parser.add_argument("--flips", type=int, default=60, help="of each kind of file")
    parser.add_argument("--hostile", type=int, default=1, help="one of every N samples of a kind")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    total: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    draw = random.Random(0)
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for part, count in ((kills_of_writers, args.kills), (kills_of_prepare, args.kills),
                            (full_disks, args.kills), (flips, args.flips)):  # fmt: skip
            found = part(Path(scratch), count, draw)
            print(part.__name__, dict(found), flush=True)  # noqa: T201
            total.update(found)
        if args.commands or args.disks:
            bench = Bench(Path(scratch))
            for stop, count in ((kills_of_commands, args.commands),
                                (full_disks_of_commands, args.disks)):  # fmt: skip
                found = stop(bench, count, draw)
                print(stop.__name__, dict(found), flush=True)  # noqa: T201
                total.update(found)
        hostile = count_hostile(Path(scratch), samples(args.hostile))
        print("hostile", dict(hostile), flush=True)  # noqa: T201
        total.update(hostile)
        inputs = bad_inputs(Path(scratch))
    write_table(inputs, args.folder / "inputs.csv")
    result = dict(total) | {"bad_inputs": len(inputs)} | {
        f"bad_inputs_{v}": sum(r["verdict"] == v for r in inputs)
        for v in ("clear", "unclear", "traceback", "accepted")
    }  # fmt: skip
    (args.folder / "result.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    print(json.dumps(result, indent=1, sort_keys=True))  # noqa: T201


if __name__ == "__main__":
    main()

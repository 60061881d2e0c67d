"""Random slices from every store format, beside nibabel on the .nii.gz, in one run.

    python experiments/benchmarks/slice_store/benchmark.py OUT.json --cases 6 --rounds 20 \
        --visits 1230

Real BraTS 2021 cases where MECHLEARN_REAL_DATA has them, phantoms otherwise (`real_cases` = 0).
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing as mp
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from digests import digests
from formats import FORMATS, Format
from remote import over_http
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.manifest import VisitRecord, read_manifest
from mechlearn.data.preparation import prepare
from mechlearn.data.store import SliceStore, StoredVisit
from mechlearn.data.volumes import load_visit
from mechlearn.files import read_json, write_json
from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.phantom_spec import PhantomSpec
from mechlearn.spatial.intensity import IntensityScale, brain_mask

WORKERS = (1, 2, 4, 8)
RANKS, RANK_WORKERS = 2, 8
ROUND = 50  # slices of a round: milliseconds


def source(count: int, folder: Path) -> tuple[list[VisitRecord], bool]:
    """Records of real cases, or of phantoms written below `folder`."""
    real = Path(os.environ.get("MECHLEARN_REAL_DATA", "../shared/data")) / "brats2021"
    if real.is_dir():
        return find_brats([real.absolute()])[:count], True
    spec = PhantomSpec()
    names = [key.name for key in spec.patients("test")][:count]
    return read_manifest(write_cohort(folder, spec, patients=names))[:count], False


def places(visits: int, slices: list[int], reads: int, seed: int) -> list[tuple[int, int]]:
    """Random (visit, row)."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, visits, reads)
    return [(int(v), int(rng.integers(slices[v]))) for v in chosen]


def evict(folder: Path) -> None:
    """Drop the files from the page cache, so that the next read goes to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def private_mb() -> float:
    """Memory of this process alone, without pages shared with others or with the page cache."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines()
               if line.startswith(("Private_Dirty", "Anonymous"))) / 2000  # fmt: skip


def _work(form: Format, folders: list[Path], order: list[tuple[int, int]], for_s: float,
          gate: Any, out: Any) -> None:  # fmt: skip
    before = private_mb()
    handles = [form.open(folder) for folder in folders]
    form.read(handles[0], 0)
    gate.wait()
    start, count = time.perf_counter(), 0
    while time.perf_counter() < start + for_s:
        visit, row = order[count % len(order)]
        form.read(handles[visit], row)
        count += 1
    out.put((count, start, time.perf_counter(), private_mb() - before))


def throughput(form: Format, folders: list[Path], slices: list[int], workers: int, for_s: float
               ) -> tuple[float, float]:
    """(slices a second of so many processes together, MB that each added)."""
    context = mp.get_context("fork")
    gate, out = context.Barrier(workers), context.Queue()
    crew = [context.Process(target=_work, args=(
        form, folders, places(len(folders), slices, 1000, seed), for_s, gate, out))
        for seed in range(workers)]  # fmt: skip
    for process in crew:
        process.start()
    counts, starts, ends, memory = zip(*(out.get() for _ in crew), strict=True)
    for process in crew:
        process.join()
    return sum(counts) / (max(ends) - min(starts)), float(np.mean(memory))


def measure(form: Format, visits: list[StoredVisit], root: Path, for_s: float
            ) -> dict[str, float]:
    """Everything about one format; its files stay below `root` for the remote reads."""
    folders, write_s = [], []
    for i, visit in enumerate(visits):
        folder = root / str(i) / form.name
        folder.mkdir(parents=True)
        arrays = [visit.array(name) for name in ("images", "labels", "brain")]
        start = time.perf_counter()
        form.write(folder, *arrays)
        write_s.append(time.perf_counter() - start)
        if i == 0:
            for row in (0, len(arrays[0]) - 1):
                for read, kept in zip(form.read(form.open(folder), row), arrays, strict=True):
                    assert read.tobytes() == kept[row].tobytes(), form.name
        folders.append(folder)
    slices = [len(v.zs) for v in visits]
    size = sum(p.stat().st_size for f in folders for p in f.rglob("*") if p.is_file())
    order = places(len(visits), slices, 20, seed=99)
    first = []
    for visit, row in order:
        start = time.perf_counter()
        form.read(form.open(folders[visit]), row)
        first.append(1000 * (time.perf_counter() - start))
    cold = []
    for visit, row in order[:10]:
        gc.collect()
        evict(folders[visit])
        start = time.perf_counter()
        form.read(form.open(folders[visit]), row)
        cold.append(1000 * (time.perf_counter() - start))
    found = {
        "first_ms": float(np.median(first)), "cold_ms": float(np.median(cold)),
        "kb_per_slice": size / sum(slices) / 1000, "write_s": float(np.median(write_s)),
    }  # fmt: skip
    for workers in WORKERS:
        rate, found["worker_mb"] = throughput(form, folders, slices, workers, for_s)
        found[f"per_s_{workers}_workers"] = rate
    # As DDP reads: as many workers for each of the ranks, all at once.
    found["per_s_2_ranks"], _ = throughput(form, folders, slices, RANKS * RANK_WORKERS, for_s)
    return {f"{form.name}_{key}": value for key, value in found.items()}


def warm(visits: list[StoredVisit], root: Path, rounds: int) -> dict[str, float]:
    """Milliseconds a random slice of opened files: the best of many short rounds over all
    formats, so that a busy moment of the machine does not fall on one of them."""
    handles = {form.name: [form.open(root / str(i) / form.name) for i in range(len(visits))]
               for form in FORMATS}  # fmt: skip
    best: dict[str, float] = {}
    for seed in range(rounds):
        order = places(len(visits), [len(v.zs) for v in visits], ROUND, seed=seed)
        for form in FORMATS:
            start = time.perf_counter()
            for visit, row in order:
                form.read(handles[form.name][visit], row)
            ms = 1000 * (time.perf_counter() - start) / ROUND
            best[f"{form.name}_ms"] = min(ms, best.get(f"{form.name}_ms", ms))
    return best


def nibabel_peer(records: list[VisitRecord], visits: list[StoredVisit], reads: int
                 ) -> dict[str, float]:
    """One slice from the .nii.gz: with the normalisation found anew (nothing is known but the
    files), and with brain and intensity range known, so that only the slice is unpacked."""
    whole, known = [], []
    for visit, row in places(len(visits), [len(v.zs) for v in visits], reads, seed=99):
        record, stored = records[visit], visits[visit]
        z = stored.zs[row]
        start = time.perf_counter()
        volumes, labels, _ = load_visit(record, stored.contrasts)
        brain = brain_mask(volumes) | (labels > 0)
        scale = IntensityScale.fit(volumes, brain, contrasts=stored.contrasts)
        image = scale.apply(volumes[:, [z]], brain[[z]])
        stored.placement.images(image, brain[[z]], background=-1.0)
        whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        planes = [np.asarray(nib.load(record.images[c]).dataobj[..., z]) for c in stored.contrasts]
        np.asarray(nib.load(record.seg).dataobj[..., z])
        plane = np.stack(planes)[:, None].astype(np.float32)
        stored.intensity.apply(plane, (plane != 0).any(0))
        known.append(time.perf_counter() - start)
    return {"nibabel_ms": 1000 * min(whole),
            "nibabel_slice_alone_ms": 1000 * min(known)}  # fmt: skip


def index_of(store: SliceStore, count: int, root: Path) -> dict[str, float]:
    """Seconds to open a store of many visits and list its slices; each rank does so once."""
    for name in ("store.json", "splits.json"):
        shutil.copy(store.root / name, root / name)
    visits = [v for p in store.patients() for v in store.visits(p)]
    for i in range(count):
        visit = visits[i % len(visits)]
        folder = root / "visits" / f"P{i:05d}" / visit.session
        folder.mkdir(parents=True)
        card = read_json(visit.folder / "visit.json", digest=True)
        card["record"]["patient"] = f"P{i:05d}"
        write_json(folder / "visit.json", card, digest=True)
        (folder / "slices.b2nd").symlink_to(visit.folder / "slices.b2nd")
    start = time.perf_counter()
    opened = SliceStore(root)
    rows = opened.slices()
    seconds = time.perf_counter() - start
    rng = np.random.default_rng(0)
    chosen = [rows[i] for i in rng.permutation(len(rows))[:2000]]
    start = time.perf_counter()
    for i in range(0, len(chosen), 10):
        opened.batch(chosen[i : i + 10])
    rate = len(chosen) / (time.perf_counter() - start)
    return {"index_visits": count, "index_slices": len(rows), "index_open_s": seconds,
            "batches_of_10_per_s": rate}  # fmt: skip


def run(cases: int, rounds: int, visits: int, for_s: float, work: Path) -> dict[str, float]:
    records, real = source(cases, work / "source")
    start = time.perf_counter()
    store = prepare(records, work / "prepared")
    result: dict[str, float] = {
        "cores": len(os.sched_getaffinity(0)), "real_cases": len(records) if real else 0,
        "prepare_s_per_case": (time.perf_counter() - start) / len(records),
    }  # fmt: skip
    stored = [store.visit(r.patient, r.session) for r in records]
    source_kb = sum(p.stat().st_size for r in records for p in r.files().values()) / 1000
    result["nifti_kb_per_slice"] = source_kb / sum(len(v.zs) for v in stored)
    result |= nibabel_peer(records, stored, max(rounds // 2, 5))
    for form in track(FORMATS, "formats"):
        result |= measure(form, stored, work / "formats", for_s)
        result[f"{form.name}_times_nifti_size"] = (
            result[f"{form.name}_kb_per_slice"] / result["nifti_kb_per_slice"]
        )
    result |= warm(stored, work / "formats", rounds)
    result |= digests(store.root, rounds)
    for form in FORMATS:
        result[f"{form.name}_ratio_to_nibabel"] = result["nibabel_ms"] / result[f"{form.name}_ms"]
    result["store_ratio_to_nibabel_slice_alone"] = (
        result["nibabel_slice_alone_ms"] / result["store_ms"]
    )
    rows = np.random.default_rng(1).integers(0, len(stored[0].zs), 20).tolist()
    result |= over_http(work / "formats" / "0", rows)
    (work / "index").mkdir()
    return result | index_of(store, visits, work / "index")


def show(result: dict[str, float]) -> None:
    columns = ("ms", "first_ms", "cold_ms", "kb_per_slice", "write_s", "per_s_1_workers",
               "per_s_2_workers", "per_s_8_workers", "per_s_2_ranks", "worker_mb",
               "ratio_to_nibabel")  # fmt: skip
    table = Table("format", *columns)
    for form in FORMATS:
        table.add_row(form.name, *(f"{result[f'{form.name}_{c}']:.3g}" for c in columns))
    Console(width=200).print(table)
    names = {f.name for f in FORMATS}
    for key, value in result.items():
        if "_http_" in key or not any(key.startswith(name) for name in names):
            Console().print(f"{key} = {value:.4g}", highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for name, value in (("cases", 6), ("rounds", 20), ("visits", 1230)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each throughput")
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as work:
        result = run(
            args.cases, args.rounds, args.visits, args.seconds, Path(work).absolute()
        )
    args.out.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
    show(result)


if __name__ == "__main__":
    main()

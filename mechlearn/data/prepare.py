"""NIfTI visits -> slice store: resumable, atomic a visit, parallel over patients."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import ImageFileError

from mechlearn.data.files import read_json, replace_folder, write_json
from mechlearn.data.labels import whole_tumour
from mechlearn.data.manifest import VisitRecord, check_records
from mechlearn.data.progress import progress
from mechlearn.data.spec import PrepareSpec, SplitSpec
from mechlearn.data.splits import extend_splits, read_splits, write_splits
from mechlearn.data.store import FORMAT, SliceStore
from mechlearn.data.volumes import PreparedVisit, prepare_visit

__all__ = ["PrepareSpec", "PreparedVisit", "SplitSpec", "prepare", "prepare_visit"]

log = logging.getLogger(__name__)

BAD_CASE = (ValueError, OSError, EOFError, zlib.error, ImageFileError)
MANIFEST = "manifest.csv"  # what was found, written before anything is prepared
MAX_BAD = 10  # without skip_bad: so many bad visits end the run at once
STALE_S = 24 * 3600.0


def prepare(
    records: Iterable[VisitRecord],
    out_dir: str | Path,
    *,
    spec: PrepareSpec | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    splits: SplitSpec | Mapping[str, str] | None = None,
) -> SliceStore:
    """Make or complete a slice store.

    Finished visits are skipped if neither the record nor its files changed. A visit appears in
    the store only when it is complete.

    Args:
        records: visits, from `read_manifest` or an adapter.
        out_dir: the store.
        spec: grid, intensity, contrasts; None for the paper's.
        workers: processes; patients are spread over them.
        skip_bad: leave bad visits out (they are logged and listed in bad_visits.json) instead of
            refusing. The run refuses anyway if no visit is good.
        splits: how to draw splits, or {patient: split} (`splits_beside(manifest)`). Patients
            that have a split in the store keep it.

    Raises:
        ValueError: a store with another spec, contradicting splits, bad visits (all are named).
    """
    spec, records, root = spec or PrepareSpec(), list(records), Path(out_dir)
    check_records(records, where="records")
    if not records:
        raise ValueError("prepare: no visit given. Check the manifest or data.root.")
    _open_or_refuse(root, spec)
    _store_splits(root, records, splits if splits is not None else SplitSpec())
    partial = root / ".partial"
    partial.mkdir(exist_ok=True)
    _sweep(partial)
    scratch = Path(tempfile.mkdtemp(dir=partial))
    try:
        bad = _run(_by_patient(records), root, scratch, spec, workers, skip_bad)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    write_json(root / "bad_visits.json", bad)
    if bad and (not skip_bad or len(bad) == len(records)):
        shown = "\n  ".join(list(bad.values())[:MAX_BAD])
        stopped = "" if skip_bad or len(bad) < MAX_BAD else "at least "
        raise ValueError(
            f"{stopped}{len(bad)} of {len(records)} visits are bad:\n  {shown}\nMend them, "
            "drop them from the manifest, or leave them out with skip_bad=true. "
            "Finished visits are kept."
        )
    for message in bad.values():
        log.warning("left out: %s", message)
    return SliceStore(root)


def _open_or_refuse(root: Path, spec: PrepareSpec) -> None:
    path = root / "store.json"
    if not path.is_file():
        names = {p.name for p in root.iterdir()} if root.is_dir() else set()
        if any(not name.startswith(".") for name in names - {MANIFEST}):
            raise ValueError(
                f"{root}: the folder is not empty and is no slice store. Choose an empty folder."
            )
        write_json(path, {"format": FORMAT, "spec": spec.as_dict()})
        return
    stored = read_json(path)
    if stored.get("format") != FORMAT or stored.get("spec") != spec.as_dict():
        other = stored.get("spec", {})
        differ = {
            k: f"{other.get(k)!r} stored, {v!r} asked"
            for k, v in spec.as_dict().items()
            if other.get(k) != v
        }
        raise ValueError(
            f"{root}: holds slices of another spec: {differ or 'another format'}. One store has "
            "one spec. Prepare into another folder, or delete this one."
        )


def _store_splits(
    root: Path, records: Sequence[VisitRecord], wanted: SplitSpec | Mapping[str, str]
) -> None:
    path = root / "splits.json"
    existing = read_splits(path) if path.is_file() else {}
    write_splits(extend_splits(existing, records, wanted, where=str(path)), path)


def _sweep(partial: Path) -> None:
    """Remove what a killed run left; younger folders may belong to one that still runs."""
    for folder in partial.iterdir():
        if time.time() - folder.stat().st_mtime > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)


def _by_patient(records: Sequence[VisitRecord]) -> list[list[VisitRecord]]:
    groups: dict[str, list[VisitRecord]] = {}
    for record in sorted(records, key=lambda r: (r.day if r.day is not None else 0.0, r.session)):
        groups.setdefault(record.patient, []).append(record)
    return [groups[p] for p in dict.fromkeys(r.patient for r in records)]


def _run(
    groups: Sequence[list[VisitRecord]],
    root: Path,
    scratch: Path,
    spec: PrepareSpec,
    workers: int,
    skip_bad: bool,
) -> dict[str, str]:
    """Prepare all patients; returns {visit: what is wrong} of the bad ones."""
    bad: dict[str, str] = {}
    total = sum(len(g) for g in groups)
    with progress("preparing visits", total, logger=log) as advance:
        if workers <= 1:
            for group in groups:
                bad |= _prepare_patient(group, root, scratch, spec)
                advance(len(group), note=group[0].patient)
                if len(bad) >= MAX_BAD and not skip_bad:
                    break
            return bad
        with ProcessPoolExecutor(workers) as pool:
            tasks: dict[Future[dict[str, str]], list[VisitRecord]] = {
                pool.submit(_prepare_patient, g, root, scratch, spec): g for g in groups
            }
            try:
                for task in as_completed(tasks):
                    bad |= task.result()
                    advance(len(tasks[task]), note=tasks[task][0].patient)
                    if len(bad) >= MAX_BAD and not skip_bad:
                        break
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"prepare: one of {workers} worker processes was killed, most likely for want "
                    "of memory (about 1 GB each). Lower workers; finished visits are kept."
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    return bad


def _prepare_patient(
    records: Sequence[VisitRecord], root: Path, scratch: Path, spec: PrepareSpec
) -> dict[str, str]:
    """A patient's visits in order; the first good one says where the grid lies for all."""
    bad: dict[str, str] = {}
    offset: tuple[int, int] | None = None
    for record in records:
        folder = root / "visits" / record.patient / record.session
        try:
            source = _source(record)
            done = _finished(folder, source, offset)
            if done is None:
                visit = prepare_visit(record, spec, offset=offset)
                done = _write(visit, record, source, folder, scratch)
            offset = offset or (int(done["offset"][0]), int(done["offset"][1]))
        except BAD_CASE as error:
            text = str(error)
            bad[record.name] = text if record.name in text else f"visit {record.name}: {text}"
    return bad


def _source(record: VisitRecord) -> dict[str, Any]:
    """The record with size and time of its files: when it changes the visit is done again."""
    stats = {key: path.stat() for key, path in record.files().items()}
    files = {key: [s.st_size, s.st_mtime_ns] for key, s in stats.items()}
    return {"record": record.as_dict(), "files": files}


def _finished(
    folder: Path, source: Mapping[str, Any], offset: tuple[int, int] | None
) -> dict[str, Any] | None:
    """Grid of a visit that is in the store and up to date, or None."""
    path = folder / "visit.json"
    if not path.is_file():
        return None
    card = read_json(path)
    grid: dict[str, Any] = card["grid"]
    same = all(card.get(key) == value for key, value in source.items())
    return grid if same and offset in (None, tuple(grid["offset"])) else None


def _write(
    visit: PreparedVisit,
    record: VisitRecord,
    source: Mapping[str, Any],
    folder: Path,
    scratch: Path,
) -> dict[str, Any]:
    """Write a visit beside the store and move it in; returns its grid."""
    partial = Path(tempfile.mkdtemp(dir=scratch))
    partial.chmod(0o755)
    for name in ("images", "labels", "brain"):
        np.save(partial / f"{name}.npy", getattr(visit, name))
    grid = visit.placement.as_dict()
    tumour = whole_tumour(visit.labels)
    card = {
        **source,
        "contrasts": list(visit.intensity.contrasts),
        "grid": grid,
        "intensity": visit.intensity.as_dict(),
        "slices": {
            "z": list(visit.zs),
            "brain_px": visit.brain.sum((1, 2)).tolist(),
            "tumour_px": tumour.sum((1, 2)).tolist(),
        },
    }
    write_json(partial / "visit.json", card, indent=None)
    replace_folder(partial, folder)
    return grid

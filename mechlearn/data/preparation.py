"""NIfTI visits -> slice store: resumable, atomic a visit, parallel over patients.

A run may be killed at any moment. What the store holds is then complete visits and the mark
`unfinished.json`; the same command goes on, and the store it ends with is, byte for byte, the one
of a run that was not killed. One run at a time works on a store: a second waits.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from mechlearn.data.folders import all_finished, prepare_patient, remove_visits
from mechlearn.data.manifest import VisitRecord, check_records
from mechlearn.data.splits import extend_splits, read_splits, write_splits
from mechlearn.data.store import UNFINISHED, SliceStore
from mechlearn.data.store_spec import FORMAT, PrepareSpec, SplitSpec
from mechlearn.data.volumes import PreparedVisit, prepare_visit
from mechlearn.files import PARTIAL, exclusive, read_json, write_json
from mechlearn.processes import worker_pool
from mechlearn.progress import progress

__all__ = ["PrepareSpec", "PreparedVisit", "SplitSpec", "prepare", "prepare_visit"]

log = logging.getLogger(__name__)

BAD_VISITS = "bad_visits.json"
MAX_BAD = 10  # without skip_bad: number of bad visits that ends the run at once


def prepare(
    records: Iterable[VisitRecord],
    out_dir: str | Path,
    *,
    spec: PrepareSpec | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    leave_out: Collection[str] = (),
    splits: SplitSpec | Mapping[str, str] | None = None,
) -> SliceStore:
    """Make or complete a slice store.

    Finished visits are skipped if neither the record nor its files changed. A visit appears in
    the store only when it is complete, and the store opens only when all visits are there.

    Args:
        records: visits, from `read_manifest` or an adapter.
        out_dir: the store.
        spec: grid, intensity, contrasts; None for the paper's.
        workers: processes; patients are spread over them.
        skip_bad: leave bad visits out (they are logged, counted and listed in bad_visits.json)
            instead of refusing. The run refuses anyway if no visit is good.
        leave_out: PATIENT/SESSION of visits that are taken out if they are in the store.
        splits: how to draw splits, or {patient: split} (`splits_beside(manifest)`). Patients
            that have a split in the store keep it.

    Raises:
        ValueError: a store with another spec, contradicting splits, bad visits (all are named).
    """
    spec, records, root = spec or PrepareSpec(), list(records), Path(out_dir)
    check_records(records, where="records")
    if not records:
        raise ValueError("prepare: no visit given. Check the manifest or data.root.")
    _refuse_foreign(root)
    root.mkdir(parents=True, exist_ok=True)
    with exclusive(root, what="prepares this store"), _scratch(root) as scratch:
        # Drawn before anything is written: wrong numbers must not leave an empty store behind.
        drawn = _draw_splits(root, records, splits if splits is not None else SplitSpec())
        _open_or_refuse(root, spec)
        write_splits(drawn, root / "splits.json")
        groups = [g for g in _by_patient(records) if not all_finished(g, root)]
        left = sum(map(len, groups))
        if 0 < left < len(records):
            log.info("%d of %d visits are there already", len(records) - left, len(records))
        gone = [name for name in leave_out if (root / "visits" / name).is_dir()]
        waiting = {r.name for group in groups for r in group}
        _warn_of_forgotten(root, {r.name for r in records} | set(leave_out))
        if left or gone:
            write_json(root / UNFINISHED, {"visits": sorted(waiting)})
        bad = _run(groups, root, scratch, spec, workers, skip_bad)
        _judge(bad, len(records), root, skip_bad)
        # A bad visit may be there from the time when it was good.
        if n := remove_visits([*bad, *gone], root, scratch):
            log.warning("took %d visits out of the store that were in it", n)
        (root / UNFINISHED).unlink(missing_ok=True)
        return SliceStore(root)


def _warn_of_forgotten(root: Path, known: set[str]) -> None:
    """Visits that a run wanted which was stopped, and that this one does not ask for."""
    mark = root / UNFINISHED
    wanted = read_json(mark).get("visits", []) if mark.is_file() else []
    there = {n for n in wanted if (root / "visits" / n / "visit.json").is_file()}
    forgotten = sorted(set(wanted) - known - there)
    if forgotten:
        log.warning(
            "%d visits that a stopped run wanted are neither in the store nor asked for now: %s. "
            "Prepare them too if they belong to it.",
            len(forgotten), ", ".join(forgotten[:5]) + (" ..." if len(forgotten) > 5 else ""),
        )  # fmt: skip


def _judge(bad: Mapping[str, str], total: int, root: Path, skip_bad: bool) -> None:
    """Refuse bad visits, or say how many were left out."""
    write_json(root / BAD_VISITS, dict(sorted(bad.items())))
    if bad and (not skip_bad or len(bad) == total):
        shown = "\n  ".join(list(bad.values())[:MAX_BAD])
        stopped = "" if skip_bad or len(bad) < MAX_BAD else "at least "
        raise ValueError(
            f"{stopped}{len(bad)} of {total} visits are bad:\n  {shown}\nMend them, "
            "drop them from the manifest, or leave them out with data.skip_bad=true. "
            "Finished visits are kept."
        )
    for message in bad.values():
        log.warning("left out: %s", message)
    if bad:
        log.warning("left out %d of %d visits: see %s", len(bad), total, root / BAD_VISITS)


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """A folder beside the visits for those in work, without what a killed run left in it."""
    partial = root / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(exist_ok=True)
    for half in root.glob(f"{PARTIAL}*.json"):  # of write_json
        half.unlink()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_foreign(root: Path) -> None:
    if (root / "store.json").is_file() or not root.is_dir():
        return
    if any(p.name != UNFINISHED and not p.name.startswith(".") for p in root.iterdir()):
        raise ValueError(
            f"{root}: the folder is not empty and is no slice store. Choose an empty folder."
        )


def _open_or_refuse(root: Path, spec: PrepareSpec) -> None:
    """Begin a store or go on with one of the same spec; one of format 1 begins again."""
    path = root / "store.json"
    if path.is_file():
        stored = PrepareSpec.read(path)
        if stored.missing == "refuse":
            stored.missing = spec.missing  # whole visits are the same in both
        if stored != spec and (root / "visits").exists():
            other = stored.as_dict()
            differ = {
                k: f"{other.get(k)!r} stored, {v!r} asked"
                for k, v in spec.as_dict().items()
                if other.get(k) != v
            }
            raise ValueError(
                f"{root}: holds slices of another spec: {differ}. "
                "One store has one spec. Prepare under another data.name, or delete this folder."
            )
        if read_json(path)["format"] != FORMAT and (root / "visits").exists():
            # Before the card: stopped here, the store is an empty one of the old format.
            (root / "visits").rename(root / ".partial" / "visits")
    card = {"format": FORMAT, "spec": spec.as_dict()}
    if not path.is_file() or read_json(path, digest=True) != card:
        write_json(root / UNFINISHED, {})  # first, so that an empty store is never a whole one
        write_json(path, card, digest=True)


def _draw_splits(
    root: Path, records: Sequence[VisitRecord], wanted: SplitSpec | Mapping[str, str]
) -> dict[str, str]:
    path = root / "splits.json"
    existing = read_splits(path) if path.is_file() else {}
    return extend_splits(existing, records, wanted, where=str(path))


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
    if not groups:
        return bad
    with progress("preparing visits", sum(map(len, groups)), logger=log) as advance:
        if workers <= 1:
            for group in groups:
                bad |= prepare_patient(group, root, scratch, spec)
                advance(len(group), note=group[0].patient)
                if len(bad) >= MAX_BAD and not skip_bad:
                    break
            return bad
        with worker_pool(workers) as pool:
            tasks: dict[Future[dict[str, str]], list[VisitRecord]] = {
                pool.submit(prepare_patient, g, root, scratch, spec): g for g in groups
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

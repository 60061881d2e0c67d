"""The visits that a source was found to have, beside what a store holds of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mechlearn.data.manifest import VisitRecord, write_manifest
from mechlearn.data.store import SliceStore

__all__ = ["found_manifest", "list_found", "tell_others", "without"]

log = logging.getLogger(__name__)


def found_manifest(root: Path) -> Path:
    """The manifest of what was found for the store at `root`: beside it, to look at or to mend."""
    return root.with_name(f"{root.name}.manifest.csv")


def list_found(records: Sequence[VisitRecord], path: Path) -> Path:
    """Write the manifest of what was found; one that differs, mended perhaps, is kept as .old."""
    fresh = write_manifest(records, path.with_name(f".{path.name}"))
    if path.is_file() and path.read_bytes() != fresh.read_bytes():
        old = path.with_name(f"{path.name}.old")
        os.replace(path, old)
        log.warning("%s differs from what was found; it is kept as %s", path.name, old)
    os.replace(fresh, path)
    return path


def tell_others(store: SliceStore, records: Sequence[VisitRecord]) -> None:
    """Warn of visits in the store that are not among the source's: they are used as well."""
    stored = {v.record.name for p in store.patients() for v in store.visits(p)}
    others = sorted(stored - {r.name for r in records})
    if others:
        log.warning(
            "%s holds %d visits that the source has not, such as %s; they stay and are used. To be "
            "rid of them remove their folders below visits, or prepare under another data.name.",
            store.root, len(others), ", ".join(others[:3]),
        )  # fmt: skip


def without(records: Sequence[VisitRecord], skip: Collection[str]) -> list[VisitRecord]:
    """The records but those named PATIENT/SESSION in `skip`.

    Raises:
        ValueError: a name that is not among the records.
    """
    unknown = sorted(set(skip) - {r.name for r in records})
    if unknown:
        raise ValueError(
            f"skip: visits {', '.join(unknown[:5])} are not among the {len(records)} of this "
            "source; the report is another cohort's or out of date. Check again with mode=check."
        )
    kept = [r for r in records if r.name not in skip]
    if skip:
        log.warning("left out %d of %d visits by skip", len(records) - len(kept), len(records))
    return kept

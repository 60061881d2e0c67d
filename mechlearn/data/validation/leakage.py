"""Rules on splits: nobody is trained on under one name and tested on under another."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.splits import extend_splits, read_splits
from mechlearn.data.store import UNFINISHED
from mechlearn.data.store_spec import PrepareSpec, SplitSpec
from mechlearn.data.validation.findings import Check, Finding

__all__ = ["split_findings", "store_findings"]

SPLITS = Check(
    "splits", "error", "every patient stands in one split and stays there",
    "Mend splits.json, or change data.splits.",
)  # fmt: skip
STORE = Check(
    "store of another spec", "error", "a store has one spec (data.prepare) and a folder to itself",
    "Prepare under another data.name, or remove the store.",
)  # fmt: skip
SAME_NAME = Check(
    "two names for one patient?", "warning",
    "names differ by more than case, prefix, punctuation and leading zeros",
    "If it is one person give both one name; else nothing is to be done.",
)  # fmt: skip
NOT_THERE = Check(
    "patient of splits.json without a visit", "warning", "patients of splits.json have visits",
    "Check the name: it may be spelt otherwise in the manifest.",
)  # fmt: skip
# Words before a number that say nothing about who it is. BraTS 2023 GLI kept the numbers of 2021.
PREFIXES = {
    "sub", "subject", "subj", "patient", "patientid", "pat", "pt", "p", "case", "id", "brats",
    "gli", "2021", "2023", "2024",
}  # fmt: skip


def split_findings(
    records: Sequence[VisitRecord],
    *,
    given: Path | None = None,
    spec: SplitSpec | None = None,
    store: Path | None = None,
) -> Iterator[Finding]:
    """Splits as `prepare` would make them, and names that may be one person.

    Args:
        records: of the cohort.
        given: splits.json beside the manifest; it goes before `spec`.
        spec: how splits would be drawn.
        store: folder of an existing store, whose patients keep their split.
    """
    wanted: SplitSpec | Mapping[str, str] = spec or SplitSpec()
    existing: Mapping[str, str] = {}
    splits: Mapping[str, str] = {}
    old = None if store is None else store / "splits.json"
    try:
        if given is not None and given.is_file():
            wanted = read_splits(given)
        if old is not None and old.is_file():
            existing = read_splits(old)
        where = str(old) if existing else "splits"
        splits = extend_splits(existing, records, wanted, where=where)
    except ValueError as error:
        there = [p for p in (given, old) if p is not None and p.is_file()]
        yield SPLITS.of("", str(error), file=there[0] if there else "")
    present = {r.patient for r in records}
    if not isinstance(wanted, SplitSpec):
        for patient in sorted(set(wanted) - present):
            yield NOT_THERE.of(patient, f"in {wanted[patient]}", file=given or "")
    yield from twins(records, splits)


def store_findings(store: Path, spec: PrepareSpec) -> Iterator[Finding]:
    """Whether `prepare` could begin or go on with the folder of a store."""
    card_path = store / "store.json"
    if not card_path.is_file():
        names = sorted(p.name for p in store.iterdir()) if store.is_dir() else []
        foreign = [n for n in names if not n.startswith(".") and n != UNFINISHED]
        if foreign:
            yield STORE.of("", f"{store} holds {', '.join(foreign[:3])} and is no store")
        return
    try:
        stored = PrepareSpec.read(card_path).as_dict()
    except ValueError as error:
        yield STORE.of("", str(error), file=card_path)
        return
    asked = spec.as_dict()
    differ = {
        k: f"{stored.get(k)} stored, {v} asked"
        for k, v in asked.items()
        if stored.get(k) != v and (k, stored.get(k)) != ("missing", "refuse")
    }
    if differ:
        words = "; ".join(f"{k}: {v}" for k, v in differ.items())
        yield STORE.of("", words, file=card_path)


def twins(records: Sequence[VisitRecord], splits: Mapping[str, str]) -> Iterator[Finding]:
    """Patients whose names come down to the same person."""
    groups: dict[str, set[str]] = defaultdict(set)
    for record in records:
        groups[person(record.patient)].add(record.patient)
    for names in groups.values():
        first, *others = sorted(names)
        for name in others:
            both = f"; they are in {splits[first]} and {splits[name]}" if splits else ""
            yield SAME_NAME.of(name, f"{name} and {first}{both}")


def person(name: str) -> str:
    """What is left of a name without case, punctuation, leading zeros and words like `sub`."""
    words = re.findall(r"[a-z]+|\d+", name.casefold())
    while len(words) > 1 and words[0] in PREFIXES:
        words = words[1:]
    return "-".join(w.lstrip("0") or "0" for w in words)

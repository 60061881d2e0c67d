"""Patient-level splits: a patient is in one of train, val and test, and stays there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.data.files import write_json
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.spec import SplitSpec

__all__ = ["SPLITS", "extend_splits", "make_splits", "read_splits", "splits_beside", "write_splits"]

SPLITS = ("train", "val", "test")


def read_splits(path: str | Path) -> dict[str, str]:
    """Read {patient: split}, or {split: [patients]}, from JSON; returns {patient: split}.

    Raises:
        ValueError: no valid JSON, an unknown split, a patient that stands twice.
    """
    path = Path(path)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{path}: {name!r} stands twice. A patient is in one split.")
        return dict(pairs)

    try:
        card = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is no valid JSON ({error}). Mend or remove it.") from error
    if not isinstance(card, dict):
        raise ValueError(f"{path}: must map patient to one of {', '.join(SPLITS)}.")
    if card and all(isinstance(v, list) for v in card.values()):
        card = once([(patient, split) for split, group in card.items() for patient in group])
    for patient, split in card.items():
        if split not in SPLITS:
            raise ValueError(
                f"{path}: patient {patient!r} is in split {split!r}; must be one of "
                f"{', '.join(SPLITS)}."
            )
    return card


def splits_beside(manifest: str | Path) -> dict[str, str] | None:
    """The splits.json next to a manifest, or None if there is none."""
    path = Path(manifest).parent / "splits.json"
    return read_splits(path) if path.is_file() else None


def write_splits(splits: Mapping[str, str], path: str | Path) -> None:
    """Write {patient: split} as JSON, sorted, atomically."""
    write_json(Path(path), dict(sorted(splits.items())))


def make_splits(
    records: Iterable[VisitRecord],
    spec: SplitSpec,
    *,
    keep: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Draw splits by patient, proportionally over the data sets (`source`).

    Args:
        records: visits; a patient's source is that of its first record.
        spec: shares or numbers of patients, and the seed.
        keep: patients that have a split already; they keep it and count towards the numbers.

    Raises:
        ValueError: more validation and test patients asked for than there are.
    """
    sources: dict[str, str] = {}
    for record in records:
        sources.setdefault(record.patient, record.source)
    splits = {p: s for p, s in (keep or {}).items() if p in sources}
    total = len(sources)
    wanted = {split: _count(getattr(spec, split), total) for split in ("val", "test")}
    if sum(wanted.values()) >= total and total > 1:
        raise ValueError(
            f"split: val={spec.val:g} and test={spec.test:g} take {sum(wanted.values())} of "
            f"{total} patients and leave none to train on. Ask for fewer."
        )
    rng = np.random.default_rng(spec.seed)
    free = [p for p in rng.permutation(sorted(sources)).tolist() if p not in splits]
    for split, number in wanted.items():
        missing = max(number - sum(s == split for s in splits.values()), 0)
        chosen = _proportional(free, sources, missing)
        splits.update(dict.fromkeys(chosen, split))
        free = [p for p in free if p not in splits]
    splits.update(dict.fromkeys(free, "train"))
    return splits


def _count(wanted: float, total: int) -> int:
    if wanted >= 1:
        return int(wanted)
    return max(1, round(wanted * total)) if wanted > 0 and total > 2 else 0


def _proportional(patients: list[str], sources: Mapping[str, str], number: int) -> list[str]:
    """First `number` of shuffled patients, spread over sources in proportion."""
    groups: dict[str, list[str]] = {}
    for patient in patients:
        groups.setdefault(sources[patient], []).append(patient)
    order: list[tuple[float, str]] = []
    for group in groups.values():
        # The i-th of n patients of a source is due at (i + 1/2) / n of the way.
        order += [((i + 0.5) / len(group), patient) for i, patient in enumerate(group)]
    return [patient for _, patient in sorted(order)[:number]]


def extend_splits(
    existing: Mapping[str, str],
    records: Iterable[VisitRecord],
    wanted: SplitSpec | Mapping[str, str],
    *,
    where: str,
) -> dict[str, str]:
    """Splits of a store with `records` added: who has a split keeps it.

    Raises:
        ValueError: a given split contradicts the stored one, or misses a patient.
    """
    records = list(records)
    if isinstance(wanted, SplitSpec):
        return {**existing, **make_splits(records, wanted, keep=existing)}
    for patient in dict.fromkeys(r.patient for r in records):
        if patient not in wanted and patient not in existing:
            raise ValueError(
                f"splits: patient {patient!r} has no split; every patient of the manifest needs "
                f"one of {', '.join(SPLITS)}. Add it to splits.json."
            )
        if existing.get(patient, wanted.get(patient)) != wanted.get(patient, existing.get(patient)):
            raise ValueError(
                f"{where}: patient {patient!r} is in {existing[patient]!r} and would move to "
                f"{wanted[patient]!r}; models trained on this store may have seen it. Keep the "
                "split, or prepare into another folder."
            )
    present = {r.patient for r in records}
    return {**existing, **{p: s for p, s in wanted.items() if p in present}}

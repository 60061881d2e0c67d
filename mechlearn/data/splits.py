"""Patient-level splits: a patient is in one of train, val and test, and stays there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.store_spec import SplitSpec
from mechlearn.files import write_json

__all__ = [
    "SPLITS",
    "extend_splits",
    "make_splits",
    "read_splits",
    "refuse_twins",
    "splits_beside",
    "write_splits",
]

log = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")
PAEDIATRIC = "paediatric"


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
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
    """Draw splits by patient, in proportion over age groups and data sets (`source`).

    The draw depends on the names, ages and sources of the patients and on the seed, not on the
    order of the records. Where visits of a patient differ, one paediatric visit makes a paediatric
    patient, and the source is the first by name.

    Args:
        records: visits.
        spec: shares or numbers of patients, and the seed.
        keep: patients that have a split already; they keep it and count towards the numbers.

    Raises:
        ValueError: names that differ only by case; more patients asked for than a group has; none
            left to train on.
    """
    strata = _strata(records)
    refuse_twins({*strata, *(keep or {})})
    splits = {p: s for p, s in (keep or {}).items() if p in strata}
    wanted = [draw for split in ("val", "test") for draw in _draws(strata, spec, split)]
    taken = sum(draw.number for draw in wanted)
    if taken >= len(strata) > 1:
        raise ValueError(
            f"data.splits: {', '.join(f'{d.key}={d.asked:g}' for d in wanted)} take {taken} of "
            f"{len(strata)} patients and leave none to train on. Ask for fewer, such as "
            "data.splits.val=1 data.splits.test=0."
        )
    rng = np.random.default_rng(spec.seed)
    free = [p for p in rng.permutation(sorted(strata)).tolist() if p not in splits]
    for draw in wanted:
        have = sum(s == draw.split and p in draw.group for p, s in splits.items())
        drawn = [p for p in free if p in draw.group]
        chosen = _proportional(drawn, strata, max(draw.number - have, 0))
        splits.update(dict.fromkeys(chosen, draw.split))
        free = [p for p in free if p not in splits]
    splits.update(dict.fromkeys(free, "train"))
    return splits


def refuse_twins(patients: Iterable[str]) -> None:
    """ValueError if two names differ only by case: one person would stand in two splits."""
    seen: dict[str, str] = {}
    for name in sorted(patients):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(
                f"patients {other!r} and {name!r} differ only by case; if they are one person, "
                "half of the visits could be trained on and half tested on. Give one person one "
                "name, and two people names that differ by more."
            )


@dataclass(frozen=True)
class _Draw:
    """How many patients of a group go to a split, and the key that asked for them."""

    split: str
    key: str
    asked: float
    group: frozenset[str]
    number: int


def _strata(records: Iterable[VisitRecord]) -> dict[str, tuple[str, str]]:
    """patient -> (age group, source), whatever the order of the records."""
    ages: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for record in records:
        ages.setdefault(record.patient, set()).add(record.age_group)
        sources.setdefault(record.patient, set()).add(record.source)
    return {
        p: (PAEDIATRIC if PAEDIATRIC in ages[p] else "adult", min(sources[p])) for p in sorted(ages)
    }


def _draws(strata: Mapping[str, tuple[str, str]], spec: SplitSpec, split: str) -> list[_Draw]:
    everybody = frozenset(strata)
    asked, of_children = getattr(spec, split), getattr(spec, f"{split}_paediatric")
    if of_children is None:
        return [_Draw(split, split, asked, everybody, _count(asked, len(everybody)))]
    children = frozenset(p for p, (age, _) in strata.items() if age == PAEDIATRIC)
    draws = []
    for key, number, group, name in (
        (split, asked, everybody - children, "adult"),
        (f"{split}_paediatric", of_children, children, PAEDIATRIC),
    ):
        draw = _Draw(split, key, number, group, _count(number, len(group)))
        if draw.number > len(group) and group:
            raise ValueError(
                f"data.splits.{key}={number:g}: there are only {len(group)} {name} patients (of "
                f"{len(everybody)}). Ask for fewer, such as data.splits.{key}=1; "
                f"data.splits.{split}_paediatric=null draws data.splits.{split} from all ages."
            )
        if draw.number and not group:
            log.warning(
                "data.splits.%s=%g: there is no %s patient; none is drawn.", key, number, name
            )
            draw = replace(draw, number=0)
        draws.append(draw)
    return draws


def _count(wanted: float, total: int) -> int:
    if wanted >= 1:
        return int(wanted)
    return max(1, round(wanted * total)) if wanted > 0 and total > 2 else 0


def _proportional(
    patients: list[str], strata: Mapping[str, tuple[str, str]], number: int
) -> list[str]:
    """First `number` of shuffled patients, spread over strata in proportion."""
    groups: dict[tuple[str, str], list[str]] = {}
    for patient in patients:
        groups.setdefault(strata[patient], []).append(patient)
    order: list[tuple[float, str]] = []
    for group in groups.values():
        # The i-th of n patients of a stratum is due at (i + 1/2) / n of the way.
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
        ValueError: a given split contradicts the stored one, or misses a patient; names that
            differ only by case.
    """
    records = list(records)
    refuse_twins({*existing, *(r.patient for r in records)})
    if isinstance(wanted, SplitSpec):
        return {**existing, **make_splits(records, wanted, keep=existing)}
    for patient in dict.fromkeys(r.patient for r in records):
        if patient not in wanted and patient not in existing:
            raise ValueError(
                f"splits.json beside the manifest: patient {patient!r} has no split; every patient "
                f"needs one of {', '.join(SPLITS)}. Add it there, or move the file away."
            )
        if existing.get(patient, wanted.get(patient)) != wanted.get(patient, existing.get(patient)):
            raise ValueError(
                f"{where}: patient {patient!r} is in {existing[patient]!r} and would move to "
                f"{wanted[patient]!r}; models trained on this store may have seen it. Keep the "
                "split, or prepare into another folder."
            )
    present = {r.patient for r in records}
    return {**existing, **{p: s for p, s in wanted.items() if p in present}}

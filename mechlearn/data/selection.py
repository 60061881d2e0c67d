"""Which slices are evaluated: the paper's growth slices, and pairs of consecutive visits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from mechlearn.checks import finite
from mechlearn.data.courses import RT_DURATION_DAYS
from mechlearn.data.store import SliceRow, SliceStore
from mechlearn.records import AxialSlice, LongitudinalSlice, SizeSeries

__all__ = [
    "equally_spaced",
    "growing",
    "growth_slices",
    "growth_zs",
    "pair_rows",
    "pairs",
    "spread",
    "store_series",
]

T = TypeVar("T")


def spread(groups: Sequence[Sequence[T]], limit: int | None) -> list[T]:
    """At most `limit` items, taken in turns from the groups, so that no patient dominates."""
    longest = max((len(group) for group in groups), default=0)
    turns = (group[i] for i in range(longest) for group in groups if i < len(group))
    return list(islice(turns, limit))


def equally_spaced(zs: Sequence[int], count: int) -> list[int]:
    """`count` of the sorted `zs`, equally spaced and with the central one (odd `count`).

    The extent is cut into count + 1 equal parts and the inner cuts are taken: its two end slices
    are tips of a few pixels, whose relative growth says nothing. Where so few slices would fall
    together the ends are taken in. All of `zs` if they are not more than `count`.
    """
    if count < 1:
        raise ValueError(f"count={count}: must be 1 or more.")
    ordered = sorted(zs)
    last = len(ordered) - 1
    if last < count:
        return ordered
    at = np.arange(1, count + 1) * last / (count + 1)
    if last < count + 1:
        at = np.linspace(0, last, count)
    return [ordered[i] for i in np.floor(at + 0.5).astype(int)]


def growing(
    areas_mm2: np.ndarray,
    *,
    count: int = 5,
    min_growth: float | None = 0.10,
    min_area_mm2: float = 0.0,
) -> list[int]:
    """Slices of a patient that grow (section 3.2 of the paper).

    Five equally spaced tumour slices including the central one, from the first visit and from the
    visit of the largest tumour; their union, of which a slice is kept if its area at the largest
    visit exceeds that at the first by more than `min_growth`.

    Args:
        areas_mm2: tumour area, (V, Z): visits in order of day, slices in order of z.
        count: slices a visit.
        min_growth: relative growth (0.10 is 10%); a slice must exceed it. None asks for none: the
            whole union is kept, also of a tumour that is largest at first.
        min_area_mm2: slices whose first area is not above it are left out; at 0 these are the
            slices without tumour at first, of which relative growth is undefined.

    Returns:
        Sorted columns of `areas_mm2`; with a `min_growth`, none if the first visit is the largest.
    """
    if min_growth is not None:
        finite("min_growth", min_growth)
    first, largest = areas_mm2[0], areas_mm2[np.argmax(areas_mm2.sum(axis=1))]
    candidates: set[int] = set()
    for areas in (first, largest):
        candidates.update(equally_spaced(np.flatnonzero(areas > 0).tolist(), count))
    return sorted(
        i
        for i in candidates
        if first[i] > min_area_mm2
        and (min_growth is None or largest[i] > (1.0 + min_growth) * first[i])
    )


def growth_zs(
    store: SliceStore,
    patient: str,
    *,
    count: int = 5,
    min_growth: float | None = 0.10,
    min_area_mm2: float = 0.0,
) -> list[int]:
    """The z that `growing` chooses of a patient, sorted, from the index alone.

    The patient's visits must be co-registered; the arguments are those of `growing`.
    """
    common = store.common_zs(patient)
    areas = [[visit.tumour_area_mm2(z) for z in common] for visit in store.visits(patient)]
    chosen = growing(
        np.array(areas), count=count, min_growth=min_growth, min_area_mm2=min_area_mm2
    )
    return [common[i] for i in chosen]


def growth_slices(
    store: SliceStore,
    patient: str,
    *,
    count: int = 5,
    min_growth: float | None = 0.10,
    min_area_mm2: float = 0.0,
    rt_duration_days: float = RT_DURATION_DAYS,
) -> list[LongitudinalSlice]:
    """The slices of `growth_zs`, read over all visits."""
    zs = growth_zs(store, patient, count=count, min_growth=min_growth, min_area_mm2=min_area_mm2)
    return store.longitudinal(patient, zs=zs, rt_duration_days=rt_duration_days)


def pair_rows(
    store: SliceStore,
    split: str | None,
    *,
    count: int | None = None,
    min_area_mm2: float = 0.0,
    min_growth: float | None = None,
) -> list[tuple[SliceRow, SliceRow]]:
    """Index rows of (reference, follow-up): the same slice at consecutive visits.

    Args:
        store: the slice store.
        split: train, val, test, or None for all patients.
        count: equally spaced slices a pair of visits; None for all.
        min_area_mm2: the tumour of the reference must be larger than this.
        min_growth: the follow-up must be larger by more than this share; None keeps shrinking
            tumours as well.
    """
    chosen: list[tuple[SliceRow, SliceRow]] = []
    for patient in store.patients(split):
        visits = store.visits(patient)
        if len(visits) < 2:
            continue
        common = set(store.common_zs(patient))
        tables = [
            {row.z: row for row in store.slices(patient=patient, session=v.session)} for v in visits
        ]
        for before, after in zip(tables, tables[1:], strict=False):
            kept = [
                z
                for z in sorted(common)
                if before[z].tumour_area_mm2 > min_area_mm2
                and (
                    min_growth is None
                    or after[z].tumour_area_mm2 > (1 + min_growth) * before[z].tumour_area_mm2
                )
            ]
            zs = kept if count is None else equally_spaced(kept, count)
            chosen += [(before[z], after[z]) for z in zs]
    return chosen


def pairs(
    store: SliceStore,
    split: str | None,
    *,
    count: int | None = None,
    min_area_mm2: float = 0.0,
    min_growth: float | None = None,
) -> list[tuple[AxialSlice, AxialSlice]]:
    """The slices of `pair_rows`, read: (reference, follow-up) of consecutive visits.

    References know their surroundings.
    """
    rows = pair_rows(store, split, count=count, min_area_mm2=min_area_mm2, min_growth=min_growth)
    return [(store.read(before, surroundings=True), store.read(after)) for before, after in rows]


def store_series(
    store: SliceStore,
    split: str | None,
    *,
    count: int = 5,
    min_growth: float | None = 0.10,
    min_area_mm2: float = 0.0,
    rt_duration_days: float = RT_DURATION_DAYS,
    patients: Collection[str] | None = None,
) -> list[SizeSeries]:
    """The paper's growth slices of a slice store, from the index alone: no image is read.

    Args:
        store: its patients' visits must be dated and co-registered.
        split: train, val, test, or None for all patients.
        count, min_growth, min_area_mm2: see `growing`.
        rt_duration_days: of a course of which only the end is known.
        patients: only these of the split.

    Raises:
        ValueError: a patient that is not in the split, or a visit without a day.
    """
    names = store.patients(split)
    absent = sorted(set(patients or ()) - set(names))
    if absent:
        raise ValueError(
            f"{store.root}: no patient {absent[0]!r} in split={split}; it holds {len(names)} "
            f"patients, such as {names[:3]}. Mend the name or give split=None."
        )
    return [
        store.timeline(patient, z, rt_duration_days=rt_duration_days)
        for patient in names
        if patients is None or patient in patients
        for z in growth_zs(
            store, patient, count=count, min_growth=min_growth, min_area_mm2=min_area_mm2
        )
    ]

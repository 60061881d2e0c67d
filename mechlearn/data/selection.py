"""Which slices are evaluated: the paper's growth slices, and pairs of consecutive visits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mechlearn.checks import finite
from mechlearn.data.store import SliceRow, SliceStore
from mechlearn.data.visit import StoredVisit
from mechlearn.records import AxialSlice, LongitudinalSlice

__all__ = ["equally_spaced", "growth_slices", "growth_zs", "pair_rows", "pairs"]


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


def growth_zs(
    store: SliceStore,
    patient: str,
    *,
    count: int = 5,
    min_growth: float = 0.10,
    min_area_mm2: float = 0.0,
) -> list[int]:
    """Slices of a patient that grow, from the index alone (section 3.2 of the paper).

    Five equally spaced tumour slices including the central one, from the first session and from
    the session of the largest tumour; their union, of which a slice is kept if its area in the
    largest session exceeds that in the first by more than `min_growth`.

    Args:
        store: the slice store; the patient's visits must be co-registered.
        patient: its name.
        count: slices a session.
        min_growth: relative growth (0.10 is 10%); a slice must exceed it.
        min_area_mm2: slices whose first area is not above it are left out; at 0 these are the
            slices without tumour at first, of which relative growth is undefined.

    Returns:
        Sorted z; empty if the first session is the largest.
    """
    finite("min_growth", min_growth)
    visits, common = store.visits(patient), store.common_zs(patient)
    first = _areas(visits[0], common)
    largest = max((_areas(v, common) for v in visits), key=lambda a: sum(a.values()))
    candidates: set[int] = set()
    for areas in (first, largest):
        candidates.update(equally_spaced([z for z in common if areas[z] > 0], count))
    return sorted(
        z
        for z in candidates
        if first[z] > min_area_mm2 and largest[z] > (1.0 + min_growth) * first[z]
    )


def growth_slices(
    store: SliceStore,
    patient: str,
    *,
    count: int = 5,
    min_growth: float = 0.10,
    min_area_mm2: float = 0.0,
    rt_duration_days: float = 42.0,
) -> list[LongitudinalSlice]:
    """The slices of `growth_zs`, read over all visits."""
    zs = growth_zs(store, patient, count=count, min_growth=min_growth, min_area_mm2=min_area_mm2)
    return store.longitudinal(patient, zs=zs, rt_duration_days=rt_duration_days)


def _areas(visit: StoredVisit, zs: Sequence[int]) -> dict[int, float]:
    return {z: visit.tumour_area_mm2(z) for z in zs}


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
    """The slices of `pair_rows`, read: (reference, follow-up) of consecutive visits."""
    rows = pair_rows(store, split, count=count, min_area_mm2=min_area_mm2, min_growth=min_growth)
    return [(store.read(before), store.read(after)) for before, after in rows]

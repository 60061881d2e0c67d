from __future__ import annotations

import pytest

from mechlearn.data.preparation import prepare
from mechlearn.data.selection import (
    equally_spaced,
    growth_slices,
    growth_zs,
    pair_rows,
    pairs,
    spread,
)


@pytest.mark.parametrize("n", [5, 6, 11, 24, 61])
def test_central_slice_is_among_the_five(n):
    zs = list(range(40, 40 + n))
    chosen = equally_spaced(zs, 5)
    assert len(set(chosen)) == 5
    assert min(abs(z - (40 + (n - 1) / 2)) for z in chosen) <= 0.5


def test_five_of_61_are_ten_apart_without_the_tips():
    assert equally_spaced(range(61), 5) == [10, 20, 30, 40, 50]


def test_few_slices_are_all_taken():
    assert equally_spaced([7, 3, 5], 5) == [3, 5, 7]


def test_count_below_one_is_refused():
    with pytest.raises(ValueError, match="count=0"):
        equally_spaced([1, 2], 0)


def test_growth_slices_grow_by_more_than_a_tenth(store):
    for chosen in growth_slices(store, "P0"):
        first, *_, last = chosen.timeline.sizes
        assert last > 1.1 * first > 0


def test_growth_slices_hold_all_visits(store):
    assert {len(s.slices) for s in growth_slices(store, "P0")} == {3}


def test_growth_slices_are_the_union_of_first_and_largest_session(store):
    visits = store.visits("P0")
    wanted = set()
    for visit in (visits[0], visits[2]):
        zs = [z for z in store.common_zs("P0") if visit.tumour_area_mm2(z) > 0]
        wanted |= set(equally_spaced(zs, 5))
    grown = {z for z in wanted if visits[0].tumour_area_mm2(z) > 0}
    assert set(growth_zs(store, "P0")) == grown


def test_slices_without_tumour_at_first_are_left_out(store):
    first = store.visits("P0")[0]
    assert all(first.tumour_area_mm2(z) > 0 for z in growth_zs(store, "P0"))


def test_growth_threshold_is_exceeded(store):
    areas = {z: store.timeline("P0", z).sizes for z in growth_zs(store, "P0", min_growth=2.0)}
    assert areas
    assert all(a[-1] > 3 * a[0] for a in areas.values())


def test_shrinking_tumour_has_no_growth_slice(tmp_path, case_of, visit_of, spec):
    records = [
        visit_of(case_of(0, radius=6.0), session="s0", day=0.0),
        visit_of(case_of(1, radius=4.0), session="s1", day=30.0),
    ]
    assert growth_zs(prepare(records, tmp_path / "store", spec=spec), "P1") == []


def test_pairs_are_consecutive_visits_of_one_slice(store):
    for before, after in pairs(store, "train", count=2):
        assert (before.patient, before.z) == (after.patient, after.z)
        assert after.day - before.day == 30.0


def test_every_pair_of_visits_gives_count_slices(store):
    n = len(store.patients("train"))
    assert len(pair_rows(store, "train", count=3)) == 3 * 2 * n


def test_pairs_can_be_asked_to_grow(store):
    rows = pair_rows(store, None, min_growth=0.5)
    assert rows
    assert all(b.tumour_area_mm2 > 1.5 * a.tumour_area_mm2 for a, b in rows)


def test_spread_takes_patients_in_turns():
    assert spread([["a1", "a2", "a3"], ["b1"], ["c1", "c2"]], 5) == ["a1", "b1", "c1", "a2", "c2"]


def test_spread_without_limit_keeps_all():
    assert sorted(spread([[1, 2], [], [3]], None)) == [1, 2, 3]

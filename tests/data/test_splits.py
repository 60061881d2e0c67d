from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.spec import SplitSpec
from mechlearn.data.splits import (
    extend_splits,
    make_splits,
    read_splits,
    splits_beside,
    write_splits,
)


def records(n: int, *, source: str = "a", visits: int = 1) -> list[VisitRecord]:
    return [
        VisitRecord(
            f"{source}{p:03d}", f"s{v}", {"t1n": Path("a")}, Path("b"), "brats2023", source=source
        )
        for p in range(n)
        for v in range(visits)
    ]


def test_every_patient_has_one_split():
    splits = make_splits(records(20, visits=3), SplitSpec(0.2, 0.1))
    assert Counter(splits.values()) == {"train": 14, "val": 4, "test": 2}


def test_counts_are_patients():
    splits = make_splits(records(20, visits=2), SplitSpec(val=5, test=0))
    assert Counter(splits.values()) == {"train": 15, "val": 5}


def test_seed_decides():
    first, again = (make_splits(records(40), SplitSpec(seed=3)) for _ in range(2))
    assert first == again
    assert first != make_splits(records(40), SplitSpec(seed=4))


def test_order_of_the_records_does_not_matter():
    assert make_splits(records(30), SplitSpec()) == make_splits(records(30)[::-1], SplitSpec())


def test_data_sets_are_drawn_in_proportion():
    both = records(90, source="adult") + records(30, source="child")
    splits = make_splits(both, SplitSpec(val=12, test=0))
    assert Counter(p[:5] for p, s in splits.items() if s == "val") == {"adult": 9, "child": 3}


def test_kept_patients_stay_and_count():
    keep = {"a000": "val", "a001": "val"}
    splits = make_splits(records(20), SplitSpec(val=3, test=0), keep=keep)
    assert splits["a000"] == splits["a001"] == "val"
    assert Counter(splits.values())["val"] == 3


def test_nothing_left_to_train_on_is_refused():
    with pytest.raises(ValueError, match="take 5 of 5 patients"):
        make_splits(records(5), SplitSpec(val=3, test=2))


def test_a_single_patient_trains():
    assert make_splits(records(1), SplitSpec()) == {"a000": "train"}


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0), (1.5, 0)])
def test_impossible_shares_are_refused(val, test):
    with pytest.raises(ValueError, match="split.val"):
        SplitSpec(val, test)


def test_stored_patients_keep_their_split_when_more_arrive():
    stored = make_splits(records(10), SplitSpec(0.2, 0.2))
    grown = extend_splits(stored, records(30), SplitSpec(0.2, 0.2, seed=9), where="x")
    assert {p: grown[p] for p in stored} == stored
    assert Counter(grown.values()) == {"train": 18, "val": 6, "test": 6}


def test_moving_a_patient_is_refused():
    with pytest.raises(ValueError, match="'a000' is in 'train' and would move to 'val'"):
        extend_splits({"a000": "train"}, records(1), {"a000": "val"}, where="splits.json")


def test_patient_without_a_given_split_is_refused():
    with pytest.raises(ValueError, match="'a001' has no split"):
        extend_splits({}, records(2), {"a000": "train"}, where="splits.json")


def test_patient_in_two_splits_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"train": ["P1", "P2"], "val": ["P1"]}))
    with pytest.raises(ValueError, match="'P1' stands twice"):
        read_splits(path)


def test_patient_twice_in_a_flat_file_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('{"P1": "train", "P1": "val"}')
    with pytest.raises(ValueError, match="'P1' stands twice"):
        read_splits(path)


def test_unknown_split_is_refused(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('{"P1": "dev"}')
    with pytest.raises(ValueError, match="'dev'; must be one of train, val, test"):
        read_splits(path)


def test_both_forms_read_the_same(tmp_path):
    (tmp_path / "a.json").write_text('{"train": ["P1"], "val": ["P2"]}')
    write_splits({"P2": "val", "P1": "train"}, tmp_path / "b.json")
    assert read_splits(tmp_path / "a.json") == read_splits(tmp_path / "b.json")


def test_splits_beside_a_manifest_are_found(tmp_path):
    write_splits({"P1": "test"}, tmp_path / "splits.json")
    assert splits_beside(tmp_path / "manifest.csv") == {"P1": "test"}


def test_no_splits_beside_a_manifest_is_none(tmp_path):
    assert splits_beside(tmp_path / "manifest.csv") is None

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.splits import (
    extend_splits,
    make_splits,
    read_splits,
    splits_beside,
    write_splits,
)
from mechlearn.data.store_spec import SplitSpec


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


def mixed(adults: int, children: int) -> list[VisitRecord]:
    grown = [replace(r, age_group="adult") for r in records(adults, source="gli")]
    return grown + [replace(r, age_group="paediatric") for r in records(children, source="ped")]


def counts(splits: dict[str, str], split: str) -> Counter[str]:
    return Counter(patient[:3] for patient, s in splits.items() if s == split)


PAPER = SplitSpec(val=26, test=0, val_paediatric=9)


def test_the_papers_validation_patients_are_drawn_by_age():
    assert counts(make_splits(mixed(300, 60), PAPER), "val") == {"gli": 26, "ped": 9}


def test_without_a_paediatric_number_ages_are_drawn_in_proportion():
    spec = SplitSpec(val=35, test=0)
    assert counts(make_splits(mixed(300, 50), spec), "val") == {"gli": 30, "ped": 5}


def test_shares_apply_in_each_age_group():
    spec = SplitSpec(val=0.1, test=0, val_paediatric=0.5)
    assert counts(make_splits(mixed(100, 20), spec), "val") == {"gli": 10, "ped": 10}


def test_unknown_age_counts_as_adult():
    unknown = [replace(r, age_group="") for r in mixed(40, 0)] + mixed(0, 20)
    assert counts(make_splits(unknown, PAPER), "val") == {"gli": 26, "ped": 9}


def test_data_sets_stay_in_proportion_within_an_age_group():
    several = mixed(90, 20) + [replace(r, age_group="adult") for r in records(30, source="ssa")]
    spec = SplitSpec(val=12, test=0, val_paediatric=2)
    assert counts(make_splits(several, spec), "val") == {"gli": 9, "ssa": 3, "ped": 2}


def test_too_few_children_are_refused_with_the_key():
    with pytest.raises(ValueError, match=r"splits.val_paediatric=9: there are only 4 paediatric"):
        make_splits(mixed(300, 4), PAPER)


def test_too_few_adults_are_refused_with_the_key():
    with pytest.raises(ValueError, match=r"splits.val=26: there are only 20 adult patients"):
        make_splits(mixed(20, 60), PAPER)


def test_a_cohort_without_children_draws_none_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        splits = make_splits(mixed(100, 0), PAPER)
    assert counts(splits, "val") == {"gli": 26}
    assert "splits.val_paediatric=9: there is no paediatric patient" in caplog.text


def test_one_paediatric_visit_makes_a_paediatric_patient():
    grew_up = [replace(r, session="s9", age_group="adult") for r in mixed(0, 20)] + mixed(40, 20)
    assert counts(make_splits(grew_up, PAPER), "val") == {"gli": 26, "ped": 9}


def test_kept_children_count_towards_the_children():
    keep = {"ped000": "val", "ped001": "val", "gli000": "val"}
    splits = make_splits(mixed(100, 30), PAPER, keep=keep)
    assert counts(splits, "val") == {"gli": 26, "ped": 9}
    assert {p: splits[p] for p in keep} == keep


@pytest.mark.parametrize("seed", range(20))
def test_no_order_or_subset_of_visits_puts_a_patient_in_two_splits(seed):
    """Visits arrive in any order and in any portions; a patient keeps its first split."""
    rng = np.random.default_rng(seed)
    visits = [replace(r, session=f"s{i}") for r in mixed(30, 12) for i in range(3)]
    spec = SplitSpec(val=5, test=0.1, val_paediatric=2, seed=seed)
    splits: dict[str, str] = {}
    for _ in range(6):
        some = rng.choice(len(visits), size=rng.integers(60, len(visits)), replace=False)
        grown = extend_splits(splits, [visits[i] for i in some], spec, where="x")
        assert {p: grown[p] for p in splits} == splits
        assert {visits[i].patient for i in some} <= set(grown)
        splits = grown


@pytest.mark.parametrize("seed", range(5))
def test_draw_does_not_depend_on_the_order_of_records_that_differ(seed):
    rng = np.random.default_rng(seed)
    visits = mixed(40, 20) + [
        replace(r, session="s9", source="later", age_group="") for r in mixed(40, 20)
    ]
    shuffled = [visits[i] for i in rng.permutation(len(visits))]
    spec = replace(PAPER, seed=seed)
    assert make_splits(shuffled, spec) == make_splits(visits, spec)


def test_names_that_differ_only_by_case_are_refused():
    twins = records(5) + [replace(records(1)[0], patient="A000")]
    with pytest.raises(ValueError, match="'A000' and 'a000' differ only by case"):
        make_splits(twins, SplitSpec())


@pytest.mark.parametrize("wanted", [SplitSpec(), {"A001": "val", "a001": "train"}])
def test_a_name_of_other_case_cannot_join_a_store(wanted):
    with pytest.raises(ValueError, match="differ only by case"):
        extend_splits({"A001": "val"}, records(2)[1:], wanted, where="x")


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
    with pytest.raises(ValueError, match="splits.val"):
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

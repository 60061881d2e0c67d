"""Days, radiotherapy and names: no file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.splits import write_splits
from mechlearn.data.store_spec import SplitSpec
from mechlearn.data.validation.dates import date_findings
from mechlearn.data.validation.leakage import person, split_findings


def visits(*days: float | None, patient: str = "P1", **fields: object) -> list[VisitRecord]:
    return [
        VisitRecord(patient, f"s{i}", {"t1n": Path("a")}, Path("b"), "brats2023", day,
                    **(fields if i == 0 else {}))  # type: ignore[arg-type]
        for i, day in enumerate(days)
    ]  # fmt: skip


def found(records: list[VisitRecord]) -> dict[str, str]:
    return {f.check: f.found for f in date_findings(records)}


def test_plain_visits_pass():
    records = visits(
        0, 40, 120, rt_start_day=10, rt_end_day=51, dose_gy=60, fractions=30, surgery_day=-7
    )
    assert not found(records)


def test_single_undated_scans_pass():
    assert not found(visits(None))


def test_several_undated_visits_are_told():
    assert found(visits(None, None)) == {"visits without days": "2 visits, none with a day"}


@pytest.mark.parametrize(
    ("days", "check", "words"),
    [
        ((0, None), "rows that contradict each other", "have no day"),
        ((5, 40), "first visit is not day 0", "day 5"),
        ((-20, 40), "first visit is not day 0", "day -20"),
        ((0, 40, 40), "visits less than a day apart", "session s1 on day 40"),
        ((0, 40, 40.5), "visits less than a day apart", "day 40.5"),
        ((0, 80, 40), "sessions in another order than days", "day 80, after session s2 on 40"),
        ((0, 43831), "days implausibly far", "a date or a serial number"),
    ],
)
def test_odd_days_are_told(days, check, words):
    assert words in found(visits(*days))[check]


def test_sessions_are_ordered_by_their_numbers():
    weeks = [
        VisitRecord("P1", f"week-{w}", {"t1n": Path("a")}, Path("b"), "brats2023", 7.0 * w)
        for w in (0, 9, 10, 100)
    ]
    assert not found(weeks)


@pytest.mark.parametrize(
    ("course", "check", "words"),
    [
        ({"dose_gy": 6000.0, "fractions": 30}, "implausible dose", "6000 Gy (cGy?)"),
        ({"dose_gy": 60.0, "fractions": 2}, "implausible dose", "30 Gy each"),
        ({"dose_gy": 60.0, "fractions": 300}, "implausible dose", "0.2 Gy each"),
        ({"rt_end_day": 400.0}, "implausible course", "391 days"),
        ({"rt_end_day": 12.0, "fractions": 30}, "implausible course", "30 fractions in 3 days"),
    ],
)
def test_odd_courses_are_told(course, check, words):
    assert words in found(visits(0, 40, rt_start_day=10.0, **course))[check]


def test_end_without_start_is_a_note():
    (finding,) = date_findings(visits(0, 90, rt_end_day=60.0))
    assert (finding.severity, finding.found) == ("note", "ends on day 60")


def test_overlapping_courses_are_an_error():
    one, other = visits(0, 90, rt_start_day=10.0, rt_end_day=50.0)
    other = VisitRecord("P1", "s1", other.images, other.seg, "brats2023", 90.0, rt_start_day=30.0)
    (finding,) = date_findings([one, other])
    assert finding.severity == "error"
    assert "must not overlap" in finding.found


def test_treatment_after_the_last_visit_is_a_note():
    assert (
        "RT from day 99"
        in found(visits(0, 40, rt_start_day=99.0))["treatment after the last visit"]
    )


def names(*patients: str) -> list[VisitRecord]:
    return [visits(None, patient=p)[0] for p in patients]


def splits_of(*patients: str, **given: object) -> list[tuple[str, str, str]]:
    findings = split_findings(names(*patients), **given)  # type: ignore[arg-type]
    return [(f.severity, f.check, f.found) for f in findings]


SOME = SplitSpec(val=1, test=0)


def test_plain_names_pass():
    assert not splits_of("P1", "P2", "P3", spec=SOME)


def test_impossible_splits_are_an_error():
    ((severity, _, words),) = splits_of("P1", "P2", spec=SplitSpec(val=2, test=0))
    assert severity == "error"
    assert "leave none to train on" in words


def test_patient_in_two_splits_is_an_error(tmp_path):
    (tmp_path / "splits.json").write_text('{"train": ["P1"], "val": ["P1", "P2"]}')
    ((severity, _, words),) = splits_of("P1", "P2", given=tmp_path / "splits.json")
    assert severity == "error"
    assert "'P1' stands twice" in words


def test_patient_without_a_split_is_an_error(tmp_path):
    write_splits({"P1": "train"}, tmp_path / "splits.json")
    ((severity, _, words),) = splits_of("P1", "P2", given=tmp_path / "splits.json")
    assert severity == "error"
    assert "'P2' has no split" in words


def test_patient_that_would_move_is_an_error(tmp_path):
    write_splits({"P1": "train", "P2": "val"}, tmp_path / "splits.json")
    (tmp_path / "store").mkdir()
    write_splits({"P1": "val"}, tmp_path / "store" / "splits.json")
    ((severity, _, words),) = splits_of(
        "P1", "P2", given=tmp_path / "splits.json", store=tmp_path / "store"
    )
    assert severity == "error"
    assert "would move" in words


def test_split_without_a_patient_is_a_warning(tmp_path):
    write_splits({"P1": "train", "P02": "val", "P2": "train"}, tmp_path / "splits.json")
    ((severity, check, _),) = splits_of("P1", "P2", given=tmp_path / "splits.json")
    assert (severity, check) == ("warning", "patient of splits.json without a visit")


def test_names_that_differ_by_case_are_an_error():
    assert ("error", "splits") in [row[:2] for row in splits_of("pat1", "PAT1", "P3", spec=SOME)]


def test_two_names_of_one_person_are_told_with_their_splits(tmp_path):
    write_splits({"P001": "train", "sub-P1": "val"}, tmp_path / "splits.json")
    ((severity, check, words),) = splits_of("P001", "sub-P1", given=tmp_path / "splits.json")
    assert (severity, check) == ("warning", "two names for one patient?")
    assert words == "sub-P1 and P001; they are in train and val"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("P1", "p_001", True), ("sub-07", "Patient-007", True),
        ("BraTS2021_00006", "BraTS-GLI-00006", True),
        ("BraTS-GLI-00006", "BraTS-PED-00006", False), ("P1", "P10", False),
        ("RHUH-0001", "UPENN-0001", False),
    ],
)  # fmt: skip
def test_person_behind_a_name(one, other, same):
    assert (person(one) == person(other)) == same

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from mechlearn.data.adapters.cohort_tables import calendar_day, find_table, read_sheet
from mechlearn.data.adapters.common import Gaps


def test_excel_cells_become_text(tmp_path, workbook):
    rows = [("ID", "Day", "Seen", "Note"), (7, 12.0, dt.datetime(2020, 1, 2), None)]
    ((where, row),) = read_sheet(workbook(tmp_path / "a.xlsx", {"S": rows}), required=["ID"])
    assert row == {"id": "7", "day": "12", "seen": "2020-01-02T00:00:00", "note": ""}
    assert where.endswith("a.xlsx, sheet S, row 2")


def test_byte_order_mark_spaces_and_case_are_forgiven(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufeff patient  ID ,DAY\nP1,3\n,\n", encoding="utf-8")
    assert [row for _, row in read_sheet(path, required=["Patient ID", "Day"])] == [
        {"patient id": "P1", "day": "3"}
    ]


def test_two_sheets_with_the_columns_are_refused(tmp_path, workbook):
    path = workbook(tmp_path / "a.xlsx", {"A": [("ID",)], "B": [("ID",)]})
    with pytest.raises(ValueError, match="2 sheets have the columns"):
        read_sheet(path, required=["ID"])


def test_required_column_twice_is_refused(tmp_path, workbook):
    path = workbook(tmp_path / "a.xlsx", {"A": [("ID", "Day", "Day ")]})
    with pytest.raises(ValueError, match="column 'day' stands twice"):
        read_sheet(path, required=["ID", "Day"])


def test_other_column_twice_keeps_the_first(tmp_path, workbook):
    path = workbook(tmp_path / "a.xlsx", {"A": [("ID", "Volume", "Volume"), ("P", 1, 2)]})
    assert read_sheet(path, required=["ID"])[0][1]["volume"] == "1"


def test_given_table_that_is_not_there_is_refused():
    with pytest.raises(FileNotFoundError, match=r"data\.tables=gone\.xlsx: no such file"):
        find_table("gone.xlsx", [], pattern="gone", what="it")


def test_given_tables_go_before_those_found(tmp_path: Path):
    for place in ("root", "given"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "T_v1.csv").touch()
    found = find_table(tmp_path / "given", [tmp_path / "root" / "T_v1.csv"], pattern="T", what="T")
    assert found == tmp_path / "given" / "T_v1.csv"


def test_days_are_those_of_the_calendar():
    days = [calendar_day("here", "k", text) for text in ("2024-02-28T23:59:00", "2024-03-01")]
    assert days[1] - days[0] == 2


def test_gaps_are_refused_together_and_the_first_ten_shown():
    gaps = Gaps(None)
    for n in range(12):
        gaps.add(f"gap {n}")
    with pytest.raises(ValueError, match=r"(?s)^12 visits .*gap 9\n  and 2 more\n.*skip_bad=true"):
        gaps.settle()


def test_gap_without_a_place_gets_one(tmp_path: Path):
    missing: list[str] = []
    gaps = Gaps(missing)
    with gaps.catch(tmp_path):
        raise ValueError("day=inf: must be a finite number or empty.")
    gaps.settle()
    assert missing == [f"{tmp_path}: day=inf: must be a finite number or empty."]

"""Dates in the day columns of a table."""

from __future__ import annotations

import pytest

from mechlearn.data.day_cells import days_from_dates

COLUMNS = ("day", "rt_start_day")


def days(tmp_path, *cells: str, patients: str = "") -> list[str]:
    names = patients or "P" * len(cells)
    rows = [(f"row {k + 2}", {"patient": p, "day": c})
            for k, (p, c) in enumerate(zip(names, cells, strict=True))]  # fmt: skip
    return [row["day"] for _, row in days_from_dates(tmp_path, rows, COLUMNS)]


@pytest.mark.parametrize(
    "cells",
    [
        ("20210105", "20210306", "20210505"),
        ("2021-01-05", "2021-03-06", "2021-05-05"),
        ("2021/01/05", "2021/03/06", "2021/05/05"),
        ("2021-01-05T08:30", "2021-03-06 00:00:00", "2021-05-05"),
        ("5.1.2021", "06.03.2021", "05.05.2021"),
    ],
)
def test_dates_become_days_since_the_first_visit(tmp_path, cells):
    assert days(tmp_path, *cells) == ["0", "60", "120"]


@pytest.mark.parametrize("cells", [("05/01/2021", "15/01/2021"), ("01/05/2021", "01/15/2021")])
def test_a_number_above_twelve_tells_the_order_of_local_dates(tmp_path, cells):
    assert days(tmp_path, *cells) == ["0", "10"]


def test_each_patient_counts_from_its_own_first_visit(tmp_path):
    assert days(tmp_path, "20210110", "20210105", "20200101", patients="AAB") == ["5", "0", "0"]


def test_numbers_of_days_stay_as_they_are(tmp_path):
    assert days(tmp_path, "0", "-12.5", "3650", "NA", "") == ["0", "-12.5", "3650", "NA", ""]


def test_treatment_is_dated_from_the_first_visit(tmp_path):
    rows = [("row 2", {"patient": "P", "day": "2021-01-05", "rt_start_day": "2021-01-19"})]
    assert days_from_dates(tmp_path, rows, COLUMNS)[0][1]["rt_start_day"] == "14"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("01/05/2021", "02/05/2021"), "day='01/05/2021': day or month first is not certain"),
        (("05/13/2021", "13/05/2021"), "day or month first is not certain"),
        (("2021-01-05", "60"), "row 3: day='60': is a number, but .* dated 2021-01-05"),
        (("2021-01-05", "0"), "row 3: day='0': is a number"),
        (("2021-02-30",), "row 2: day='2021-02-30': is no date of the calendar"),
        (("0021-02-20",), "is no date of the calendar"),
        (("44201", "44261"), r"day=44201: .* \(a spreadsheet's number for 2021-01-05\?\)"),
        (("1609804800",), "day=1609804800: .* lies within 20,000. Write dates"),
        (("20211350",), "day='20211350': is no date"),
        (("Jan 5",), "day='Jan 5': must be a number of days .* or a date such as 2021-03-05"),
        (("05.01.21",), "must be a number of days"),
    ],
)
def test_what_is_not_certain_is_refused(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        days(tmp_path, *cells)


def test_a_date_of_treatment_needs_dated_visits(tmp_path):
    rows = [("row 2", {"patient": "P", "day": "0", "rt_start_day": "2021-01-19"})]
    with pytest.raises(ValueError, match="row 2: rt_start_day='2021-01-19': is a date, but no"):
        days_from_dates(tmp_path, rows, COLUMNS)

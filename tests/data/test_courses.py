"""Courses of radiotherapy from the rows of a patient."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mechlearn.data.courses import check_course, courses
from mechlearn.records import Radiotherapy


@dataclass(frozen=True)
class Cells:
    rt_start_day: float | None = None
    rt_end_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None


def found(*rows, **options):
    return courses(rows, where="t.csv: patient=P1", **options)


def test_courses_are_distinct_and_in_order_of_day():
    late, early = Cells(300.0, 320.0), Cells(10.0, 52.0)
    assert found(late, early, late) == (Radiotherapy(10.0, 52.0), Radiotherapy(300.0, 320.0))


def test_what_one_row_leaves_empty_another_knows():
    rows = Cells(10.0, dose_gy=60.0), Cells(10.0, 52.0), Cells(10.0, fractions=30)
    assert found(*rows) == (Radiotherapy(10.0, 52.0, 60.0, 30),)


def test_a_lone_end_places_its_start():
    assert found(Cells(rt_end_day=60.0), rt_duration_days=20.0) == (Radiotherapy(40.0, 60.0),)


def test_a_lone_end_belongs_to_the_course_that_ends_there():
    assert found(Cells(rt_end_day=60.0, dose_gy=54.0), Cells(30.0, 60.0)) == (
        Radiotherapy(30.0, 60.0, 54.0),
    )


def test_a_dose_without_a_day_belongs_to_the_one_course():
    assert found(Cells(30.0), Cells(dose_gy=54.0)) == (Radiotherapy(30.0, None, 54.0),)


def test_a_dose_without_a_day_among_several_courses_is_refused():
    with pytest.raises(ValueError, match=r"P1: dose_gy=54 stands on a row without rt_start_day"):
        found(Cells(30.0), Cells(300.0), Cells(dose_gy=54.0))


def test_no_day_is_no_course():
    assert found(Cells(), Cells(dose_gy=54.0)) == ()


@pytest.mark.parametrize(
    ("key", "values"), [("rt_end_day", (52.0, 55.0)), ("dose_gy", (54.0, 60.0)),
                        ("fractions", (27, 30))],
)  # fmt: skip
def test_rows_of_one_start_may_not_contradict_each_other(key, values):
    rows = [Cells(10.0, **{key: value}) for value in values]
    with pytest.raises(ValueError, match=rf"P1: {key} is \[.*starts on day 10.*Write the same"):
        found(*rows)


def test_overlapping_courses_are_refused():
    with pytest.raises(ValueError, match="rt_start_day=12 lies within the course of days 10 to 52"):
        found(Cells(10.0, 52.0), Cells(12.0, 52.0))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (Cells(50.0, 8.0), "rt_end_day=8: must not lie before rt_start_day=50"),
        (Cells(dose_gy=-60.0), "dose_gy=-60: must be positive"),
        (Cells(float("nan")), "rt_start_day=nan: must be a finite number"),
    ],
)
def test_a_course_out_of_its_bounds_is_refused(cells, message):
    with pytest.raises(ValueError, match=message):
        check_course(cells)

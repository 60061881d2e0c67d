"""Checks of a series: days that are dates, doses in cGy, and sizes larger than a brain."""

from __future__ import annotations

from mechlearn.checks import finite
from mechlearn.records import SizeSeries

__all__ = ["LARGEST", "check_brain", "check_dates"]

LARGEST = {"mm3": 2.5e6, "mm2": 4e4}  # larger than an adult brain and its largest axial slice
MOST_DAYS = 36525.0  # a hundred years: a larger number is a date, not a number of days
MOST_GY = 150.0  # above all courses of brain radiotherapy; 6000 is a dose in cGy


def check_dates(series: SizeSeries, day: float) -> None:
    """ValueError, with the series' name, for days that are dates and doses in cGy."""
    where = f"series {series.name}"
    finite(f"{where}: forecast day", day)
    named = [(f"visit on day {v.day:.0f}", v.day) for v in series.visits]
    for name, value in (*named, ("forecast day", day)):
        if abs(value) > MOST_DAYS:
            raise ValueError(
                f"{where}: {name}: day={value:.0f} is more than a hundred years. Days count from "
                "the first visit; convert a date such as 20210105 to days."
            )
    for course in series.courses:
        if course.dose_gy is not None and course.dose_gy > MOST_GY:
            raise ValueError(
                f"{where}: dose_gy={course.dose_gy:g} of the course on day {course.start_day:g}: "
                f"must be at most {MOST_GY:g} Gy. Divide by 100 if it is written in cGy."
            )


def check_brain(series: SizeSeries) -> None:
    """ValueError, with the series' name, for a size larger than a brain."""
    limit = LARGEST[series.unit]
    for v in series.visits:
        if v.size > limit:
            raise ValueError(
                f"series {series.name}: visit on day {v.day:g}: size={v.size:g} {series.unit} is "
                f"larger than a brain ({limit:g} {series.unit}). Check the unit of the column."
            )

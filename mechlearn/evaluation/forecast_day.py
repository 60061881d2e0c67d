"""The day of a forecast: days since the first visit, days after the last one, or a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from mechlearn.checks import in_range
from mechlearn.records import Patient

__all__ = ["LATEST_DAY", "day_of", "days_of", "split_days"]

LATEST_DAY = 36_525.0  # a hundred years: larger numbers are dates


def split_days(text: str | float | Iterable[str | float]) -> list[str]:
    """Several days in one text, separated by commas or spaces.

    Example:
        >>> split_days("+60,+120"), split_days("+60 +120"), split_days([60, 120]), split_days(90)
        (['+60', '+120'], ['+60', '+120'], ['60', '120'], ['90'])
    """
    if isinstance(text, str):
        return text.strip("[] ").replace(",", " ").split()
    return [str(part).strip() for part in text] if isinstance(text, Iterable) else [str(text)]


def days_of(days: Sequence[float | str], patient: Patient) -> list[float]:
    """`day_of` for every day, ascending; ValueError for no day or a day given twice."""
    found = sorted(
        day_of(day, patient.visits[-1].day, patient.name, first_date=patient.first_date)
        for day in days
    )
    if not found:
        raise ValueError("day: no day is given. Give a day such as 120 or +60.")
    if len(set(found)) < len(found):
        raise ValueError(
            f"day={list(days)}: a day is given twice (days {', '.join(f'{d:g}' for d in found)} "
            f"since the first visit of {patient.name}). Give each once."
        )
    return found


def day_of(
    day: float | str, last: float | None, patient: str, *, first_date: dt.date | None = None
) -> float:
    """The day as a number: `120` is this day, `"+60"` is 60 days after the last visit, and an ISO
    date is converted.

    Args:
        day: as given by the user.
        last: day of the last visit, None where it is not known.
        patient: name of the patient, for errors.
        first_date: date of the first visit, None where it is not known.

    Raises:
        ValueError: not a number of days, more than a hundred years, `+` where the last visit has no
            day, or a date where the date of the first visit is not known.

    Example:
        >>> day_of("+60", 30.0, "P01")
        90.0
        >>> day_of("2026-05-01", 30.0, "P01", first_date=dt.date(2026, 3, 1))
        61.0
    """
    text = str(day).strip()
    if (date := _date(text)) is not None:
        if first_date is None:
            raise ValueError(
                f"day={text}: the visits of {patient} are given in days, so a date cannot be "
                "converted. Give days since the first visit, or give dates in the column day."
            )
        return float((date - first_date).days)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    in_range("day", value, -LATEST_DAY, LATEST_DAY,
             remedy=f"day={text} must be days since the first visit, such as 120, or +60 for 60 "
             "days after the last visit, or a date such as 2026-05-01.")  # fmt: skip
    if not text.startswith("+"):
        return value
    if last is None:
        raise ValueError(
            f"day={text}: the last visit of {patient} has no day. Fill in the column `day`."
        )
    return last + value


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if text.count("-") == 2 else None
    except ValueError:
        return None

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from mechlearn.evaluation.forecast_day import days_of
from mechlearn.records import Patient, Visit

PATIENT = Patient("P", (Visit("a", 0.0), Visit("b", 30.0)))
DATED = replace(PATIENT, first_date=dt.date(2026, 1, 1))


def test_days_come_sorted_whatever_their_form() -> None:
    assert days_of(["2026-06-30", "+60", 45], DATED) == [45.0, 90.0, 180.0]


def test_a_date_needs_dated_visits() -> None:
    with pytest.raises(ValueError, match="visits of P are given in days"):
        days_of(["2026-06-30"], PATIENT)


def test_a_day_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="given twice"):
        days_of(["+60", 90], PATIENT)


def test_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match="no day is given"):
        days_of([], PATIENT)

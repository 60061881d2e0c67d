"""Radiotherapy from the dates that are known."""

from __future__ import annotations

from mechlearn.growth.treatment import radiotherapy


def test_start_is_42_days_before_a_known_end():
    assert radiotherapy(None, 60.0).start_day == 18.0


def test_a_known_start_is_kept():
    assert radiotherapy(10.0, 60.0).start_day == 10.0


def test_no_dates_mean_no_radiotherapy():
    assert radiotherapy(None, None) is None

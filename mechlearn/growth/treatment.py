"""Radiotherapy dates as far as they are known."""

from __future__ import annotations

from mechlearn.checks import positive
from mechlearn.records import Radiotherapy

__all__ = ["RT_DURATION_DAYS", "radiotherapy"]

RT_DURATION_DAYS = 42.0  # six weeks, the common course of focal brain irradiation


def radiotherapy(
    start_day: float | None,
    end_day: float | None = None,
    *,
    dose_gy: float | None = None,
    fractions: int | None = None,
    duration_days: float = RT_DURATION_DAYS,
) -> Radiotherapy | None:
    """The course, None where neither date is known.

    Where only the end is known the start is set `duration_days` before it, as was done for the
    paper's figures.
    """
    if start_day is None and end_day is None:
        return None
    if start_day is None:
        assert end_day is not None
        start_day = end_day - positive("growth.rt_duration_days", duration_days)
    return Radiotherapy(start_day, end_day, dose_gy, fractions)

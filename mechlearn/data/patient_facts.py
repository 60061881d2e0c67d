"""Columns of a table, of visits or of patients, that hold covariates and days of treatment."""

from __future__ import annotations

from collections.abc import Mapping

from mechlearn.data.tables import number
from mechlearn.records import Treatment

__all__ = ["COVARIATES", "TREATMENT_COLUMNS", "treatment_days_of", "treatments_of"]

COVARIATES = ("age", "sex", "grade", "idh", "mgmt", "diagnosis")
# kind, column of the first day, column of the last day
_DAYS = (
    ("chemotherapy", "chemo_start_day", "chemo_end_day"),
    ("chemotherapy", "adjuvant_chemo_start_day", "adjuvant_chemo_end_day"),
    ("immunotherapy", "immunotherapy_start_day", "immunotherapy_end_day"),
    ("other", "other_start_day", "other_end_day"),
)
TREATMENT_COLUMNS = tuple(column for _, *pair in _DAYS for column in pair)


def treatment_days_of(where: str, cells: Mapping[str, str]) -> dict[str, float]:
    """Column -> day, of the cells that are not empty; ValueError for one that is no number."""
    days = {key: number(where, key, cells.get(key, "")) for key in TREATMENT_COLUMNS}
    return {key: day for key, day in days.items() if day is not None}


def treatments_of(days: Mapping[str, float | None]) -> tuple[Treatment, ...]:
    """Treatments of a row: column -> day; one without a first day is left out.

    Raises:
        ValueError: a treatment that ends before it starts; a first day that is not finite.
    """
    given = ((kind, days.get(start), days.get(end)) for kind, start, end in _DAYS)
    return tuple(Treatment(kind, start, end) for kind, start, end in given if start is not None)

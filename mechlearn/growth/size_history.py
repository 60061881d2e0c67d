"""Features of one series for a learned size forecast; readings on one day are averaged first.

The features of a forecast from the last used visit to `day` (logs are of size + floor):

    log_size      log of the last size          log_days     log of the days ahead
    below_peak    last log - largest log        above_low    last log - smallest log
    log_visits    log of the number of visits   last_change  last log - the one before
    companion     log of the other compartment - last log, and companion_change, its last change
    since_rt      asinh of days since the end of radiotherapy over 60 (negative before its end)
    since_surgery the same for the last operation before the visit
    chemotherapy, immunotherapy   1 during it, 0.5 after its end, 0 before it or without it
    age, idh_mutant, mgmt_methylated, grade

An unknown feature is NaN; the residual model replaces it by the cohort's median.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.treatment import RT_DURATION_DAYS
from mechlearn.records import SizeReading, SizeSeries, Treatment

__all__ = ["COMPANION", "COVARIATES", "FEATURES", "History"]

COVARIATES = ("since_surgery", "chemotherapy", "immunotherapy", "age", "idh_mutant",
              "mgmt_methylated", "grade")  # fmt: skip
COMPANION = ("companion", "companion_change")
FEATURES = ("log_size", "log_days", "below_peak", "above_low", "log_visits", "last_change",
            *COMPANION, "since_rt", *COVARIATES)  # fmt: skip
_TIME_SCALE = 60.0  # days; asinh is linear below it and logarithmic above it
_UNKNOWN = ("", "unknown", "indeterminate", "nan", "none", "na", "n/a")


def merged(readings: tuple[SizeReading, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Days and sizes, one reading a day: several readings on a day give their mean."""
    days = np.array([v.day for v in readings], float)
    sizes = np.array([v.size for v in readings], float)
    known, which, counts = np.unique(days, return_inverse=True, return_counts=True)
    return known, np.bincount(which, weights=sizes) / counts


@dataclass(frozen=True)
class History:
    """A series with one reading a day; sizes in the series' unit."""

    series: SizeSeries
    days: np.ndarray  # (V,)
    sizes: np.ndarray  # (V,)
    companion_days: np.ndarray  # (W,)
    companion_sizes: np.ndarray  # (W,)

    @classmethod
    def of(cls, series: SizeSeries) -> History:
        """From a series; of several companions the first by name is used."""
        companions = [series.companions[k] for k in sorted(series.companions)]
        other = merged(companions[0]) if companions else (np.zeros(0), np.zeros(0))
        return cls(series, *merged(series.visits), *other)

    @property
    def slow(self) -> bool:
        """The tumour has a known IDH mutation or a known grade below 4: it grows slowly."""
        _, idh_mutant, _, grade = _covariates(self.series)
        return idh_mutant == 1 or grade < 4

    def features(self, n: int, day: float, *, floor: float, companion_floor: float) -> np.ndarray:
        """(len(FEATURES),) of a forecast to `day` from the first `n` readings."""
        now = self.days[n - 1]
        logs = np.log(self.sizes[:n] + floor)
        seen = self.companion_days <= now
        other = np.log(self.companion_sizes[seen] + companion_floor)
        return np.array([
            logs[-1],
            math.log(max(day - now, 1.0)),
            logs[-1] - logs.max(),
            logs[-1] - logs.min(),
            math.log(n),
            logs[-1] - logs[-2] if n > 1 else math.nan,
            other[-1] - logs[-1] if other.size else math.nan,
            other[-1] - other[-2] if other.size > 1 else math.nan,
            self._since_rt(now),
            *self._treatments(now),
            *_covariates(self.series),
        ])  # fmt: skip

    def _since_rt(self, now: float) -> float:
        if not self.series.courses:
            return math.nan
        course = self.series.courses[-1]
        end = course.start_day + RT_DURATION_DAYS if course.end_day is None else course.end_day
        return math.asinh((now - end) / _TIME_SCALE)

    def _treatments(self, now: float) -> tuple[float, float, float]:
        given = self.series.treatments
        operations = [t.start_day for t in given if t.kind == "surgery" and t.start_day <= now]
        since = math.asinh((now - max(operations)) / _TIME_SCALE) if operations else math.nan
        known = bool(given) or None
        drugs = [
            math.nan if known is None
            else max((_running(t, now) for t in given if t.kind == kind), default=0.0)
            for kind in ("chemotherapy", "immunotherapy")
        ]  # fmt: skip
        return since, drugs[0], drugs[1]


def _running(treatment: Treatment, now: float) -> float:
    if treatment.start_day > now:
        return 0.0
    return 1.0 if treatment.end_day is None or treatment.end_day >= now else 0.5


def _covariates(series: SizeSeries) -> tuple[float, float, float, float]:
    c = series.covariates
    return (
        _number(c.get("age")), _flag(c.get("idh"), ("mut",)),
        _flag(c.get("mgmt"), ("methyl", "positive")), _number(c.get("grade")),
    )  # fmt: skip


def _number(value: float | str | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except ValueError:
        return math.nan


def _flag(value: float | str | None, yes: tuple[str, ...]) -> float:
    """1 where the text begins with one of `yes` (or is 1), 0 otherwise, NaN if unknown."""
    text = str(value).strip().lower() if value is not None else ""
    return math.nan if text in _UNKNOWN else float(text.startswith((*yes, "1", "true")))

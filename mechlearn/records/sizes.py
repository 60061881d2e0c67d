"""Sizes of a tumour over time: measured series and forecasts.

A size is an area in mm2 (of one axial slice) or a volume in mm3 (of a tumour or of one of its
compartments). Growth models do not depend on the unit, so both have the same series type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from mechlearn.checks import finite, in_range, one_of, positive
from mechlearn.records.images import GuidanceTarget
from mechlearn.records.patient import Radiotherapy, Treatment, check_courses

__all__ = ["COMPARTMENTS", "UNITS", "Counterfactual", "SizeForecast", "SizeReading", "SizeSeries"]

UNITS = ("mm2", "mm3")
COMPARTMENTS = ("whole", "enhancing", "flair", "core")


@dataclass(frozen=True)
class SizeReading:
    """One measured size (>= 0), in the unit of its series, on `day` since the first visit."""

    day: float
    size: float
    session: str = ""

    def __post_init__(self) -> None:
        finite(f"visit {self.session or '?'}: day", self.day)
        finite(f"visit {self.session or '?'} on day {self.day:g}: size", self.size)
        if self.size < 0:
            raise ValueError(
                f"visit {self.session or '?'} on day {self.day:g}: size={self.size:g} is negative; "
                "a size is 0 or more. Correct the row or remove it."
            )


@dataclass(frozen=True)
class SizeSeries:
    """Sizes of one slice, tumour or compartment in order of day, with the patient's treatments.

    Attributes:
        name: of the series; PATIENT/SLICE for a slice.
        patient: folds keep all series of one patient together.
        visits: readings in order of day, at least one.
        courses: radiotherapy, in order of its start.
        unit: mm2 or mm3.
        compartment: the measured compartment, one of `COMPARTMENTS`.
        treatments: other than radiotherapy.
        covariates: of the patient, such as age, idh, grade, mgmt.
        companions: readings of other compartments of the same tumour, by their name.

    Raises:
        ValueError: no visit; visits or courses out of order; an unknown unit.

    Example:
        >>> series = SizeSeries("P01", "P01", (SizeReading(0, 4e3), SizeReading(60, 6e3)),
        ...                     unit="mm3")
        >>> series.sizes.tolist()
        [4000.0, 6000.0]
    """

    name: str
    patient: str
    visits: tuple[SizeReading, ...]
    courses: tuple[Radiotherapy, ...] = ()
    unit: str = "mm2"
    compartment: str = "whole"
    treatments: tuple[Treatment, ...] = ()
    covariates: Mapping[str, float | str] = field(default_factory=dict)
    companions: Mapping[str, tuple[SizeReading, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_courses(f"series {self.name}", self.courses)
        one_of(f"series {self.name}: unit", self.unit, UNITS)
        one_of(f"series {self.name}: compartment", self.compartment, COMPARTMENTS)
        if not self.visits:
            raise ValueError(f"series {self.name}: no visit; at least one is needed.")
        for earlier, later in pairwise(self.visits):
            if later.day < earlier.day:
                raise ValueError(
                    f"series {self.name}: visit on day {later.day:g} follows day "
                    f"{earlier.day:g}; visits must be sorted by day."
                )

    @property
    def days(self) -> np.ndarray:
        """Days, (V,)."""
        return np.array([v.day for v in self.visits], float)

    @property
    def sizes(self) -> np.ndarray:
        """Sizes in `unit`, (V,)."""
        return np.array([v.size for v in self.visits], float)

    def before(self, day: float) -> SizeSeries:
        """The same series with only the readings strictly before `day`, also of companions."""
        kept = tuple(v for v in self.visits if v.day < day)
        if not kept:
            raise ValueError(f"series {self.name}: no visit before day {day:g}.")
        return self._with(kept, day)

    def hold_out_last(self) -> tuple[SizeSeries, SizeReading]:
        """(all visits except the last, the last): the paper's `train` setup."""
        if len(self.visits) < 2:
            raise ValueError(
                f"series {self.name}: only one visit; holding out the last needs two. "
                "Use growth.setup=all."
            )
        seen = self._with(self.visits[:-1], self.visits[-1].day)
        return seen, self.visits[-1]

    def _with(self, visits: tuple[SizeReading, ...], before: float) -> SizeSeries:
        companions = {
            name: tuple(v for v in readings if v.day < before)
            for name, readings in self.companions.items()
        }
        return replace(self, visits=visits, companions=companions)


@dataclass(frozen=True)
class SizeForecast:
    """Distribution of a size on `day`, with its curves over time; sizes in `unit`.

    Curves have no measurement noise. With a population prior, samples include the measurement noise
    of a reading on `day`.
    """

    name: str
    day: float
    samples: np.ndarray  # (N,) sizes on `day`
    curve_days: np.ndarray  # (T,)
    curves: np.ndarray  # (N, T)
    law: str
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (N,)
    n_failed: int = 0  # refits that did not converge: left out, but kept with a population prior
    population: str = ""  # cohort of the prior; empty without a prior
    weights: Mapping[str, float] = field(default_factory=dict)  # model -> share of the samples
    unit: str = "mm2"

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.size == 0:
            raise ValueError(
                f"forecast {self.name}: no samples ({self.n_failed} refits failed). "
                "Check the series or use another growth model."
            )
        expected = (self.samples.size, self.curve_days.size)
        if self.curves.shape != expected:
            raise ValueError(
                f"forecast {self.name}: curves have shape {self.curves.shape}, "
                f"must be {expected} (samples, days)."
            )

    @property
    def median(self) -> float:
        return float(np.median(self.samples))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Central interval of the samples, 2.5 to 97.5 percentiles by default."""
        tail = 50 * (1 - level)
        low, high = np.percentile(self.samples, [tail, 100 - tail])
        return float(low), float(high)

    def interval_error(self, level: float = 0.95) -> tuple[float, float]:
        """Monte Carlo standard error of both ends, from order statistics of N random samples.

        0 with a population prior: its samples are quantiles, not random draws.
        """
        if self.population:
            return 0.0, 0.0
        errors = []
        for share in ((1 - level) / 2, (1 + level) / 2):
            apart = np.sqrt(share * (1 - share) / self.samples.size)
            ends = np.quantile(self.samples, np.clip([share - apart, share + apart], 0, 1))
            errors.append(float(np.diff(ends)[0]) / 2)
        return errors[0], errors[1]

    @property
    def guarantee(self) -> str:
        """Sentences about the guarantee of the 95% interval and its basis."""
        if self.population:
            return (
                "Interval guarantee: no. It was calibrated on held-out patients of the prior's "
                "cohort; check it on your patients with +experiment=growth_fits."
            )
        low, high = self.interval_error()
        return (
            "Interval guarantee: no. It includes only measurement noise, not the variation between "
            f"patients. Another seed changes its ends by about {low:.3g} and {high:.3g} "
            f"{self.unit}."
        )

    def survival(self, sizes: np.ndarray | float) -> np.ndarray:
        """P(size >= x) of the samples for each x, in [0, 1], float32 of the shape of `sizes`."""
        ordered = np.sort(self.samples)
        below = np.searchsorted(ordered, np.asarray(sizes), side="left")
        return np.asarray((ordered.size - below) / ordered.size, np.float32)

    def targets(
        self, brain_area_mm2: float, *, below_percentile: float = 90.0, nodes: int | None = None
    ) -> tuple[GuidanceTarget, ...]:
        """Samples up to a percentile as guidance targets: areas in mm2 become brain fractions.

        Args:
            brain_area_mm2: brain area of the slice.
            below_percentile: samples above this percentile are left out (section 3.3: 90).
            nodes: None for one target a sample; k for k quantiles of the kept samples with weight
                1/k each (enough, because a DDIM generation is a smooth function of its target).
        """
        positive("brain_area_mm2", brain_area_mm2)
        in_range("below_percentile", below_percentile, 1.0, 100.0)
        cut = np.percentile(self.samples, below_percentile)
        kept = np.sort(self.samples[self.samples <= cut])
        if nodes is not None and nodes < kept.size:
            kept = np.quantile(kept, (np.arange(nodes) + 0.5) / positive("nodes", nodes))
        fractions = np.clip(kept / brain_area_mm2, 0.0, 1.0)
        return tuple(GuidanceTarget(float(f), 1.0 / kept.size) for f in fractions)


@dataclass(frozen=True)
class Counterfactual:
    """A forecast under other courses of radiotherapy than the actual ones.

    Attributes:
        change: the change of the courses, as text.
        courses: replace the actual ones.
        forecast: on the days and with the draws of the actual forecast.
        unmoved: share of the draws whose growth model does not include radiotherapy.
    """

    change: str
    courses: tuple[Radiotherapy, ...]
    forecast: SizeForecast
    unmoved: float = 0.0

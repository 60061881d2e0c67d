"""The nouns that travel between rooms: frozen, validated, free of I/O.

Growth and diffusion meet here alone. Areas are in mm^2, days count from the patient's first visit,
a tumour fraction is tumour area over brain area of one axial slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
import torch

from mechlearn.checks import finite, in_range, positive, same_shape

__all__ = [
    "CONTRASTS",
    "AxialSlice",
    "Generation",
    "GrowthForecast",
    "GrowthMap",
    "GuidanceTarget",
    "LongitudinalSlice",
    "Radiotherapy",
    "Surroundings",
    "Timeline",
    "Visit",
    "WhatIf",
]

CONTRASTS = ("t1n", "t1c", "t2w", "t2f")


@dataclass(frozen=True)
class Visit:
    """One measurement of one slice: `day` since the first visit, tumour `area_mm2` (>= 0)."""

    day: float
    area_mm2: float
    session: str = ""

    def __post_init__(self) -> None:
        finite(f"visit {self.session or '?'}: day", self.day)
        finite(f"visit {self.session or '?'} on day {self.day:g}: area_mm2", self.area_mm2)
        if self.area_mm2 < 0:
            raise ValueError(
                f"visit {self.session or '?'} on day {self.day:g}: area_mm2={self.area_mm2:g} is "
                "negative; an area is 0 or more. Mend the row or drop it."
            )


@dataclass(frozen=True)
class Radiotherapy:
    """One course: days since the first visit, total dose in Gy, number of fractions."""

    start_day: float
    end_day: float | None = None
    dose_gy: float | None = None
    fractions: int | None = None

    def __post_init__(self) -> None:
        finite("rt_start_day", self.start_day)
        if self.dose_gy is not None:
            positive("dose_gy", self.dose_gy)
        if self.fractions is not None:
            positive("fractions", self.fractions)
        if self.end_day is not None and not self.end_day >= self.start_day:
            raise ValueError(
                f"rt_end_day={self.end_day:g} lies before rt_start_day={self.start_day:g}. "
                "Swap or mend the dates."
            )


def _in_order(where: str, courses: tuple[Radiotherapy, ...]) -> None:
    for earlier, later in pairwise(courses):
        if later.start_day <= earlier.start_day:
            raise ValueError(
                f"{where}: a course of radiotherapy on day {later.start_day:g} stands after day "
                f"{earlier.start_day:g}; courses must be sorted by day, each start once."
            )


@dataclass(frozen=True)
class Timeline:
    """The visits of one slice in order of day, with the patient's courses of radiotherapy.

    The growth side knows no unit: a series of volumes in mm^3 is fitted as one of areas is.
    """

    slice_id: str
    patient: str
    visits: tuple[Visit, ...]
    courses: tuple[Radiotherapy, ...] = ()

    def __post_init__(self) -> None:
        _in_order(f"timeline {self.slice_id}", self.courses)
        if not self.visits:
            raise ValueError(f"timeline {self.slice_id}: no visit; at least one is needed.")
        for earlier, later in pairwise(self.visits):
            if later.day < earlier.day:
                raise ValueError(
                    f"timeline {self.slice_id}: visit on day {later.day:g} stands after day "
                    f"{earlier.day:g}; visits must be sorted by day."
                )

    @property
    def days(self) -> np.ndarray:
        """Days, (V,)."""
        return np.array([v.day for v in self.visits], float)

    @property
    def areas_mm2(self) -> np.ndarray:
        """Tumour areas, (V,)."""
        return np.array([v.area_mm2 for v in self.visits], float)

    def before(self, day: float) -> Timeline:
        """The same slice with only the visits strictly before `day`."""
        kept = tuple(v for v in self.visits if v.day < day)
        if not kept:
            raise ValueError(f"timeline {self.slice_id}: no visit before day {day:g}.")
        return Timeline(self.slice_id, self.patient, kept, self.courses)

    def hold_out_last(self) -> tuple[Timeline, Visit]:
        """(all visits but the last, the last): the paper's `train` setup."""
        if len(self.visits) < 2:
            raise ValueError(
                f"timeline {self.slice_id}: one visit only; holding out the last needs two. "
                "Use growth.setup=all."
            )
        seen = Timeline(self.slice_id, self.patient, self.visits[:-1], self.courses)
        return seen, self.visits[-1]


@dataclass(frozen=True)
class GuidanceTarget:
    """What the sampler is asked for: tumour area / brain area, with its weight in a growth map."""

    tumour_fraction: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        in_range("target.tumour_fraction", self.tumour_fraction, 0.0, 1.0,
                 remedy="It is tumour area over brain area of the slice.")
        positive("target.weight", self.weight)


@dataclass(frozen=True)
class GrowthForecast:
    """Distribution of one slice's tumour area at `day`, with the curves behind it.

    Curves are of the tumour; with a population, samples are what would be measured on `day`.
    """

    slice_id: str
    day: float
    samples_mm2: np.ndarray  # (N,) areas at `day`
    curve_days: np.ndarray  # (T,)
    curves_mm2: np.ndarray  # (N, T)
    law: str
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (N,)
    n_failed: int = 0  # refits that did not converge: left out; under a population kept as they are
    population: str = ""  # the cohort whose prior was used; empty without one
    weights: Mapping[str, float] = field(default_factory=dict)  # law -> its share of the samples

    def __post_init__(self) -> None:
        if self.samples_mm2.ndim != 1 or self.samples_mm2.size == 0:
            raise ValueError(
                f"forecast {self.slice_id}: no samples ({self.n_failed} refits failed). "
                "Check the series or use another growth law."
            )
        expected = (self.samples_mm2.size, self.curve_days.size)
        if self.curves_mm2.shape != expected:
            raise ValueError(
                f"forecast {self.slice_id}: curves have shape {self.curves_mm2.shape}, "
                f"expected {expected} (samples, days)."
            )

    @property
    def median_mm2(self) -> float:
        return float(np.median(self.samples_mm2))

    def interval_mm2(self, level: float = 0.95) -> tuple[float, float]:
        """Central interval of the samples, 2.5 to 97.5 percentiles by default."""
        tail = 50 * (1 - level)
        low, high = np.percentile(self.samples_mm2, [tail, 100 - tail])
        return float(low), float(high)

    def targets(
        self, brain_area_mm2: float, *, below_percentile: float = 90.0, nodes: int | None = None
    ) -> tuple[GuidanceTarget, ...]:
        """The only mm^2 -> fraction conversion: samples below a percentile as guidance targets.

        Args:
            brain_area_mm2: brain area of the slice that is guided.
            below_percentile: samples above it are left out (section 3.3: 90).
            nodes: None for one target a sample; k for the k quantile midpoints of the kept
                samples, each of weight 1/k (DDIM from one encoding is smooth in its target).
        """
        positive("brain_area_mm2", brain_area_mm2)
        in_range("below_percentile", below_percentile, 1.0, 100.0)
        cut = np.percentile(self.samples_mm2, below_percentile)
        kept = np.sort(self.samples_mm2[self.samples_mm2 <= cut])
        if nodes is not None and nodes < kept.size:
            kept = np.quantile(kept, (np.arange(nodes) + 0.5) / positive("nodes", nodes))
        fractions = np.clip(kept / brain_area_mm2, 0.0, 1.0)
        return tuple(GuidanceTarget(float(f), 1.0 / kept.size) for f in fractions)


@dataclass(frozen=True)
class WhatIf:
    """A slice's forecast under courses of radiotherapy that it did not have.

    Attributes:
        change: what is otherwise, in words.
        courses: in place of the actual ones.
        forecast: on the days and with the draws of the actual forecast.
        unmoved: share of the draws whose law does not know radiotherapy.
    """

    change: str
    courses: tuple[Radiotherapy, ...]
    forecast: GrowthForecast
    unmoved: float = 0.0


@dataclass(frozen=True)
class Surroundings:
    """What the slices above and below tell of one slice: how near the visit's tumour is in space.

    distance_mm (H, W) is the distance to the tumour's surface, negative inside, at most 30;
    travel_mm (H, W) the travel time of a front through the tissue, in mm of white matter, 0 in the
    tumour, at most 80 (`imaging.travel`).
    """

    distance_mm: np.ndarray
    travel_mm: np.ndarray


@dataclass(frozen=True)
class AxialSlice:
    """One prepared axial slice of one visit, on the model's grid.

    image (C, H, W) float32 in [-1, 1], background exactly -1; labels (H, W) uint8, canonical
    (0 none, 1 necrotic / non-enhancing core, 2 oedema, 3 enhancing, 4 resection cavity);
    brain (H, W) bool; spacing_mm (row, column). Surroundings are known where they were asked for
    (`SliceStore.read`) and the visit has a tumour.
    """

    patient: str
    session: str
    day: float
    z: int  # slice index in the source volume
    image: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    spacing_mm: tuple[float, float]
    contrasts: tuple[str, ...] = CONTRASTS
    surroundings: Surroundings | None = None

    def __post_init__(self) -> None:
        same_shape("labels", self.labels, "brain", self.brain)
        expected = (len(self.contrasts), *self.brain.shape)
        if self.image.shape != expected:
            raise ValueError(
                f"slice {self.slice_id}: image has shape {self.image.shape}, expected {expected}."
            )

    @property
    def slice_id(self) -> str:
        return f"{self.patient}/{self.session}/z{self.z:03d}"

    @property
    def tumour(self) -> np.ndarray:
        """Whole tumour, (H, W) bool: every label but a resection cavity."""
        return (self.labels > 0) & (self.labels != 4)

    @property
    def pixel_mm2(self) -> float:
        return self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def brain_area_mm2(self) -> float:
        return float(self.brain.sum()) * self.pixel_mm2

    @property
    def tumour_area_mm2(self) -> float:
        return float(self.tumour.sum()) * self.pixel_mm2

    @property
    def tumour_fraction(self) -> float:
        return float(self.tumour.sum()) / max(float(self.brain.sum()), 1.0)


@dataclass(frozen=True)
class LongitudinalSlice:
    """The same axial slice over the visits, co-registered: one AxialSlice a visit, by day."""

    slices: tuple[AxialSlice, ...]
    courses: tuple[Radiotherapy, ...] = ()

    def __post_init__(self) -> None:
        if len({(s.patient, s.z) for s in self.slices}) != 1:
            raise ValueError("a LongitudinalSlice holds one z of one patient, at least one visit.")

    @property
    def patient(self) -> str:
        return self.slices[0].patient

    @property
    def slice_id(self) -> str:
        return f"{self.patient}/z{self.slices[0].z:03d}"

    @property
    def timeline(self) -> Timeline:
        visits = tuple(Visit(s.day, s.tumour_area_mm2, s.session) for s in self.slices)
        return Timeline(self.slice_id, self.patient, visits, self.courses)


@dataclass(frozen=True)
class Generation:
    """One guided sample. image (C, H, W) in [-1, 1]; fractions are the guide's own word."""

    image: torch.Tensor
    target: GuidanceTarget
    predicted_before: float  # R(x0) of the reference image
    predicted_after: float  # R of the generated image
    noise_level: int
    scale: float  # as given, in the paper's numbers
    effective_scale: float  # after pixel ratio and the guide's gain
    seed: int


@dataclass(frozen=True)
class GrowthMap:
    """Where the image changes over generations: probability (H, W) in [0, 1], 0 outside brain."""

    probability: np.ndarray
    kind: Literal["dynamic", "static"]
    n_generations: int
    spacing_mm: tuple[float, float]
    n_unchanged: int = 0  # generations whose change stayed under the floor: they vote "no growth"

    def __post_init__(self) -> None:
        low, high = float(self.probability.min()), float(self.probability.max())
        in_range("growth map minimum", low, 0.0, 1.0)
        in_range("growth map maximum", high, 0.0, 1.0 + 1e-6)

    def mask(self, threshold: float = 0.5, *, initial: np.ndarray | None = None) -> np.ndarray:
        """Pixels with probability >= threshold, (H, W) bool; with `initial` its union."""
        grown = self.probability >= threshold
        return grown if initial is None else grown | initial

"""Ensemble of growth models with weights and calibration estimated from a cohort.

The weights are stacking weights (Yao et al. 2018, with the continuous ranked probability score):
they minimise the mean score of the ensemble over held-out last visits, with a penalty towards equal
weights. The forecast of the ensemble is then corrected by the quantiles of its cross-fitted errors
(folds over patients), shrunk towards the normal distribution in small cohorts. This resembles
conformal prediction but has no coverage guarantee: the population priors are fitted again to all
patients, and floor and weights are chosen on the same last visits. The scores in `held_out` are
therefore slightly optimistic; `growth.population=cross_fit` gives scores without this bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from mechlearn.files import write_json
from mechlearn.growth.population_prior import PopulationPrior
from mechlearn.growth.quantiles import weighted_quantiles

__all__ = ["HEADROOM", "LEVELS", "VERSION", "Calibration", "Ensemble", "Member", "Spread",
           "even_ranks", "shares", "thinned"]  # fmt: skip

VERSION = 1
_UNCORRECTED_PATIENTS = 20.0  # weight of the uncorrected (normal) quantiles, in patients
HEADROOM = 1.5  # upper limit of forecasts, in units of the largest size of the cohort
LEVELS = np.linspace(0.005, 0.995, 199)


@dataclass(frozen=True)
class Calibration:
    """Quantiles at `LEVELS` of a growth model's held-out errors, in its standard deviations.

    Shrunk towards the normal distribution, because outer quantiles of few errors are noisy.
    """

    quantiles: np.ndarray
    n_patients: int

    @classmethod
    def of(cls, errors: np.ndarray, patients: np.ndarray) -> Calibration:
        """From errors (N,) of slices; every patient has the same weight."""
        names, which, counts = np.unique(patients, return_inverse=True, return_counts=True)
        found = weighted_quantiles(errors, 1 / counts[which], LEVELS)
        known = names.size / (names.size + _UNCORRECTED_PATIENTS)
        return cls(known * found + (1 - known) * ndtri(LEVELS), names.size)

    def at(self, level: float) -> float:
        """Quantile of the errors at a level in (0, 1)."""
        return float(np.interp(level, LEVELS, self.quantiles))

    def correct(self, scores: np.ndarray) -> np.ndarray:
        """Map normal scores to scores with the cohort's error distribution."""
        level = np.clip(ndtr(scores), LEVELS[0], LEVELS[-1])
        inside = np.interp(level, LEVELS, self.quantiles)
        beyond = scores - np.clip(scores, ndtri(LEVELS[0]), ndtri(LEVELS[-1]))
        return np.asarray(inside + beyond)


@dataclass(frozen=True)
class Member:
    """One growth model of an ensemble; `held_out` as in `Ensemble`, before calibration."""

    population: PopulationPrior
    weight: float
    calibration: Calibration | None = None
    held_out: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.population.law.name


@dataclass(frozen=True)
class Ensemble:
    """Growth models fitted to one cohort.

    Attributes:
        members: all growth models that were fitted, by falling weight; a weight may be 0.
        unit: of the cohort's sizes, mm2 or mm3.
        about: provenance: cohort, numbers of patients and slices, version, command.
        alpha_beta_gy: where the growth models depend on the dose, else None.
        calibration: of the ensemble; that of a member is for forecasts by this member alone.
        ceiling: upper limit of forecast sizes; see `limit`.
        held_out: scores of the ensemble on the last visits of patients it was not fitted to.
    """

    members: tuple[Member, ...]
    unit: str = "mm2"
    about: Mapping[str, Any] = field(default_factory=dict)
    alpha_beta_gy: float | None = None
    calibration: Calibration | None = None
    ceiling: float | None = None
    held_out: Mapping[str, float] = field(default_factory=dict)

    def limit(self, largest_seen: np.ndarray) -> np.ndarray:
        """Upper limit of forecast sizes, for series whose largest size so far is given."""
        if self.ceiling is None:
            return np.full_like(largest_seen, np.inf)
        return np.maximum(self.ceiling, HEADROOM * largest_seen)

    @property
    def floor(self) -> float:
        """Size added before a logarithm is taken, in the unit of the cohort."""
        return self.members[0].population.floor

    def member(self, law: str) -> Member:
        """One member by its growth model's name; ValueError if the ensemble lacks it."""
        for member in self.members:
            if member.name == law:
                return member
        raise ValueError(
            f"growth.law={law!r}: the population ({self.about.get('cohort', 'unnamed')}) holds "
            f"{', '.join(m.name for m in self.members)}. Use one of them, or fit a population "
            "prior of this growth model."
        )

    @property
    def card(self) -> dict[str, Any]:
        """All attributes as JSON values: the content of a population file."""
        return {
            "format": "mechlearn population", "version": VERSION, "unit": self.unit,
            "alpha_beta_gy": self.alpha_beta_gy, "ceiling": self.ceiling,
            "about": dict(self.about),
            **_plain_calibration(self.calibration),
            "held_out": dict(self.held_out), "laws": [_plain(m) for m in self.members],
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write as JSON."""
        write_json(Path(path), self.card)
        return Path(path)


def _plain(member: Member) -> dict[str, Any]:
    p, calibration = member.population, member.calibration
    return {
        "law": p.law.path or p.law.name,
        "weight": round(member.weight, 4),
        "parameters": [f"log {q.name}" if q.scale == "log" else q.name for q in p.law.parameters],
        "mean": [float(f"{v:.6g}") for v in p.mean],
        "covariance": [[float(f"{v:.6g}") for v in row] for row in p.covariance],
        "sigma": float(f"{p.discrepancy.sigma:.6g}"),
        "tau_per_sqrt_day": float(f"{p.discrepancy.tau:.6g}"),
        "floor": p.floor,
        "held_out": dict(member.held_out),
        **_plain_calibration(calibration),
    }


def _plain_calibration(calibration: Calibration | None) -> dict[str, Any]:
    if calibration is None:
        return {"error_quantiles": None, "n_patients": None}
    quantiles = [float(f"{v:.4g}") for v in calibration.quantiles]
    return {"error_quantiles": quantiles, "n_patients": calibration.n_patients}


@dataclass(frozen=True)
class Spread:
    """Median and width of forecast samples, (S, n), on the scale of log(size + floor)."""

    middle: np.ndarray  # (S, 1)
    width: np.ndarray  # (S, 1): half the length of the central 68% interval
    floor: float

    @classmethod
    def of(cls, samples: np.ndarray, floor: float) -> Spread:
        low, middle, high = np.percentile(np.log(samples + floor), [15.87, 50, 84.13], axis=1)
        return cls(middle[:, None], np.maximum((high - low) / 2, 1e-6)[:, None], floor)

    def scores(self, sizes: np.ndarray) -> np.ndarray:
        """Distances of sizes (S, k) from the median, in widths."""
        return (np.log(sizes + self.floor) - self.middle) / self.width

    def sizes(self, scores: np.ndarray) -> np.ndarray:
        """The inverse of `scores`."""
        logs = np.minimum(self.middle + self.width * scores, 300.0)
        return np.maximum(np.exp(logs) - self.floor, 0.0)


def shares(weights: Sequence[float] | np.ndarray, n: int) -> list[int]:
    """Whole numbers in proportion to the weights that add up to n (largest remainder method)."""
    wanted = np.asarray(weights, float) / np.sum(weights) * n
    whole = np.floor(wanted).astype(int)
    first = np.argsort(whole - wanted, kind="stable")[: n - int(whole.sum())]
    whole[first] += 1
    return [int(k) for k in whole]


def even_ranks(samples: np.ndarray, count: int) -> np.ndarray:
    """Indices (S, count) of `count` of the samples (S, n), spaced evenly over their ranks."""
    at = ((np.arange(count) + 0.5) * samples.shape[1] / count).astype(int)
    return np.argsort(samples, axis=1, kind="stable")[:, at]


def thinned(samples: np.ndarray, count: int) -> np.ndarray:
    """`count` of the samples (S, n), spaced evenly over their ranks."""
    return np.take_along_axis(samples, even_ranks(samples, count), 1)

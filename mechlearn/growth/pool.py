"""A cohort's word on several laws: the population of each, its weight, and its honest error.

Weights stack the laws' forecast distributions (Yao et al. 2018, with the continuous ranked
probability score): they minimise the mean score of the pool over held-out last visits, drawn
towards equal weights as if by a few patients' evidence. The pool's forecast is then corrected by
the quantiles of its cross-fitted errors, patients kept together, drawn towards the normal where
patients are few: in the manner of conformal prediction, without its guarantee, since populations
are fitted anew to all patients, and floor and weights are chosen on the same last visits.
`held_out` flatters a little for it; `growth.population=cross_fit` scores without that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from mechlearn.files import write_json
from mechlearn.growth.laws import law_of_file
from mechlearn.growth.measurement_noise import Discrepancy
from mechlearn.growth.population import Population, population_law

__all__ = ["HEADROOM", "Calibration", "Member", "Pool", "load_pool", "weighted_quantiles"]

_VERSION = 1
_UNCORRECTED_PATIENTS = 20.0  # a law's own width is believed as if so many patients spoke for it
HEADROOM = 1.5  # forecasts stay below so many times the largest size of the cohort
_LEVELS = np.linspace(0.005, 0.995, 199)


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of weighted values (N,) at levels in (0, 1), with the plotting position of a
    finite sample; beyond the outermost values they continue on a normal scale."""
    order = np.argsort(values, kind="stable")
    v, w = values[order], weights[order] / weights.sum()
    effective = 1 / np.sum(w**2)
    position = (np.cumsum(w) - w / 2) * effective / (effective + 1) + 0.5 / (effective + 1)
    at, known = ndtri(levels), ndtri(position)
    inner = np.interp(at, known, v)
    k = max(1, int(0.1 * v.size))  # slopes of the tails from the outer tenths
    low = max((v[k] - v[0]) / (known[k] - known[0]), 0.0) if v.size > 1 else 1.0
    high = max((v[-1] - v[-1 - k]) / (known[-1] - known[-1 - k]), 0.0) if v.size > 1 else 1.0
    inner = np.where(at < known[0], v[0] + low * (at - known[0]), inner)
    return np.where(at > known[-1], v[-1] + high * (at - known[-1]), inner)


@dataclass(frozen=True)
class Calibration:
    """Quantiles at `_LEVELS` of a law's held-out errors, in its own standard deviations.

    Drawn towards the normal distribution where patients are few: the outer quantiles of a dozen
    errors say more about the dozen than about the next patient.
    """

    quantiles: np.ndarray
    n_patients: int

    @classmethod
    def of(cls, errors: np.ndarray, patients: np.ndarray) -> Calibration:
        """From errors (N,) of slices; every patient counts once."""
        names, which, counts = np.unique(patients, return_inverse=True, return_counts=True)
        found = weighted_quantiles(errors, 1 / counts[which], _LEVELS)
        known = names.size / (names.size + _UNCORRECTED_PATIENTS)
        return cls(known * found + (1 - known) * ndtri(_LEVELS), names.size)

    def at(self, level: float) -> float:
        """Quantile of the errors at a level in (0, 1)."""
        return float(np.interp(level, _LEVELS, self.quantiles))

    def correct(self, scores: np.ndarray) -> np.ndarray:
        """Normal scores -> scores with the cohort's error distribution."""
        level = np.clip(ndtr(scores), _LEVELS[0], _LEVELS[-1])
        inside = np.interp(level, _LEVELS, self.quantiles)
        beyond = scores - np.clip(scores, ndtri(_LEVELS[0]), ndtri(_LEVELS[-1]))
        return np.asarray(inside + beyond)


@dataclass(frozen=True)
class Member:
    """One law of a pool; `held_out` as in `Pool`, before calibration."""

    population: Population
    weight: float
    calibration: Calibration | None = None
    held_out: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.population.law.name


@dataclass(frozen=True)
class Pool:
    """Laws of one cohort.

    Attributes:
        members: every law that was fitted, the heaviest first; a weight may be 0.
        unit: of the cohort's sizes, mm2 or mm3.
        about: where it comes from: cohort, numbers of patients and slices, version, command.
        alpha_beta_gy: where the laws count doses.
        calibration: of the pool as a whole; a member's own is for forecasts by that law alone.
        ceiling: sizes beyond it are not believed of a forecast; see `limit`.
        held_out: scores of the pool on the last visits of patients it was not fitted to.
    """

    members: tuple[Member, ...]
    unit: str = "mm2"
    about: Mapping[str, Any] = field(default_factory=dict)
    alpha_beta_gy: float | None = None
    calibration: Calibration | None = None
    ceiling: float | None = None
    held_out: Mapping[str, float] = field(default_factory=dict)

    def limit(self, largest_seen: np.ndarray) -> np.ndarray:
        """Largest size that a forecast may name for series whose largest one so far is given."""
        if self.ceiling is None:
            return np.full_like(largest_seen, np.inf)
        return np.maximum(self.ceiling, HEADROOM * largest_seen)

    @property
    def floor(self) -> float:
        """Size that stands for "nothing", in the unit of the cohort."""
        return self.members[0].population.floor

    def member(self, law: str) -> Member:
        """One law of the pool; ValueError for one that the cohort was not fitted with."""
        for member in self.members:
            if member.name == law:
                return member
        raise ValueError(
            f"growth.law={law!r}: the population ({self.about.get('cohort', 'unnamed')}) holds "
            f"{', '.join(m.name for m in self.members)}. Use one of them, or fit a population "
            "with this law."
        )

    @property
    def card(self) -> dict[str, Any]:
        """All of it as plain content, as it stands in a file."""
        return {
            "format": "mechlearn population", "version": _VERSION, "unit": self.unit,
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


def _calibration(held: Mapping[str, Any]) -> Calibration | None:
    if held["error_quantiles"] is None:
        return None
    return Calibration(np.array(held["error_quantiles"], float), int(held["n_patients"]))


def load_pool(source: str | Path) -> Pool:
    """A packaged population by name (`phantom`), or one from a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a population file, or one of laws that this version does not know.
    """
    if str(source) == "phantom":
        text = files("mechlearn.growth").joinpath("populations/phantom.json").read_text()
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"growth.population={source}: no such file. Make one with `python -m "
                "mechlearn.evaluate +experiment=population`, or use phantom or null."
            )
        text = path.read_text()
    try:
        content = json.loads(text)
        if content["format"] != "mechlearn population" or content["version"] != _VERSION:
            raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
        members = tuple(_member(held) for held in content["laws"])
        return Pool(members, content["unit"], content["about"], content["alpha_beta_gy"],
                    _calibration(content), content["ceiling"], content["held_out"])  # fmt: skip
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise ValueError(
            f"growth.population={source}: not a population file of version {_VERSION} ({error}). "
            "Make it again with `python -m mechlearn.evaluate +experiment=population`."
        ) from error


def _member(held: Mapping[str, Any]) -> Member:
    law = law_of_file(str(held["law"]))
    if "log radiosensitivity" in held["parameters"]:
        law = law.linear_quadratic()
    law = population_law(law)
    names = [f"log {p.name}" if p.scale == "log" else p.name for p in law.parameters]
    if names != held["parameters"]:
        raise ValueError(f"law {law.name} has parameters {names}, the file {held['parameters']}")
    population = Population(
        law, np.array(held["mean"]), np.array(held["covariance"]),
        Discrepancy(held["sigma"], held["tau_per_sqrt_day"]), held["floor"],
    )  # fmt: skip
    if population.mean.shape != (len(names),) or population.covariance.shape != (len(names),) * 2:
        raise ValueError(f"law {law.name}: mean or covariance is not of {len(names)} parameters")
    np.linalg.cholesky(population.covariance)  # refuses what is not a covariance
    return Member(population, float(held["weight"]), _calibration(held), held["held_out"])

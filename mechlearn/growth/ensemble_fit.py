"""Fit an ensemble to a cohort: population priors, errors cross-fitted over patients, weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mechlearn.checks import in_range
from mechlearn.growth.ensemble import (
    HEADROOM,
    Calibration,
    Ensemble,
    Member,
    Spread,
    shares,
    thinned,
)
from mechlearn.growth.ensemble_weights import ensemble_weights, mean_distance
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.growth_spec import ENSEMBLE_MODELS
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.population_prior import PopulationPrior, fit_population_prior
from mechlearn.growth.posterior_draws import drawn
from mechlearn.records import SizeSeries

__all__ = ["fit_ensemble", "folds", "size_floor"]

logger = logging.getLogger(__name__)

_FLOOR_PERCENTILES, _FLOOR_SLICES = (1, 5, 10, 25), 400
_FLOOR_LAWS = ("carry_forward", "exponential")


def folds(patients: Sequence[str], count: int, seed: int) -> np.ndarray:
    """Fold (N,) of every slice; the slices of a patient stay together."""
    names = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(names))
    of = {names[i]: k % count for k, i in enumerate(order)}
    return np.array([of[p] for p in patients])


def size_floor(timelines: Sequence[SizeSeries], *, n_folds: int = 5, seed: int = 0) -> float:
    """The size that is added before a logarithm is taken, in the unit of the cohort.

    Small sizes have large relative errors, and some are 0, so their logarithms vary too much. The
    floor is one of a few percentiles of the cohort's sizes: the one with which the two simplest
    growth models forecast held-out last visits best (mean relative CRPS; a subset of the patients
    of a large cohort).
    """
    sizes = np.concatenate([t.sizes for t in timelines])
    if not (sizes > 0).any():
        raise ValueError("population: no size of the cohort is above zero. Check the series.")
    held = _some(_measurable(timelines), _FLOOR_SLICES, least=n_folds)
    n_folds = _enough_patients(held, n_folds)
    found = []
    for percent in _FLOOR_PERCENTILES:
        floor, score = float(np.percentile(sizes[sizes > 0], percent)), 0.0
        for law in _FLOOR_LAWS:
            samples = _cross_fitted(held, get_growth_model(law), floor, n_folds, 100, seed, None)
            score += _relative_crps(held, samples)
        found.append((score, floor))
    return min(found)[1]


def _some(timelines: Sequence[SizeSeries], most: int, *, least: int) -> list[SizeSeries]:
    """All slices of every k-th patient: about `most` slices, of `least` patients or more."""
    names = sorted({t.patient for t in timelines})
    step = min(round(len(timelines) / most), len(names) // least)
    kept = set(names[:: max(1, step)])
    return [t for t in timelines if t.patient in kept]


def _enough_patients(timelines: Sequence[SizeSeries], n_folds: int) -> int:
    """Folds that these patients allow; ValueError for too few patients."""
    n_patients = len({t.patient for t in timelines})
    if n_patients < 3:
        raise ValueError(
            f"population: {n_patients} patient(s) with two visits on different days; at least 3 "
            "are needed. Give a larger cohort or growth.population=null."
        )
    return min(n_folds, n_patients)


def _measurable(timelines: Sequence[SizeSeries]) -> list[SizeSeries]:
    """Series from their first visit with a tumour on, where they have at least two days: growth
    models are scaled by the first size, which must not be 0."""
    found = []
    for timeline in timelines:
        sizes = timeline.sizes
        if (sizes > 0).any():
            visits = timeline.visits[int(np.argmax(sizes > 0)) :]
            if visits[0].day < visits[-1].day:
                found.append(replace(timeline, visits=visits))
    return found


def _relative_crps(timelines: Sequence[SizeSeries], samples: np.ndarray) -> float:
    """Mean over slices of the last visit's CRPS, divided by the largest size before it."""
    seen, truth, _ = _last_held_out(timelines)
    largest = np.array([t.sizes.max() for t in seen])
    cap = HEADROOM * max(float(t.sizes.max()) for t in timelines)
    ordered = np.sort(np.minimum(samples, cap), axis=1)
    near = np.abs(ordered - truth[:, None]).mean(axis=1)
    kept = largest > 0
    return float(np.mean((near - 0.5 * mean_distance(ordered, ordered))[kept] / largest[kept]))


def fit_ensemble(
    timelines: Sequence[SizeSeries], laws: Sequence[GrowthModel | str] = ENSEMBLE_MODELS, *,
    unit: str = "mm2", floor: float | None = None, n_folds: int = 5, n: int = 100, seed: int = 0,
    alpha_beta_gy: float | None = None, about: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Ensemble:
    """Fit the population priors of several growth models, their calibration and their weights.

    Cross-fitting over patients (`n_folds`) forecasts the last visit of every patient by population
    priors that were fitted without this patient. The errors calibrate each growth model and the
    scores weight it. The population priors of the result are fitted to all patients.

    Args:
        timelines: slices of the cohort with all their visits; visits before the first tumour are
            left out. In a population prior every slice has the same weight, so a patient with
            many slices has more influence; in weights and calibration every patient has the same.
        laws: growth models or their names. Those with radiotherapy are left out where no slice
            has a course, because they then equal the untreated ones.
        unit: of the sizes.
        floor: `size_floor` by default.
        n_folds: at most the number of patients.
        n: draws a forecast.
        seed: of folds and starts.
        alpha_beta_gy: where growth models depend on the dose (`GrowthModel.linear_quadratic`).
        about: provenance, stored with the ensemble.
        progress: called with (number of priors fitted, total number).

    Raises:
        ValueError: fewer than 3 patients with two visits.
    """
    chosen = _chosen(timelines, laws)
    if not chosen:
        raise ValueError(
            "population: all growth models include radiotherapy and no series has a course. Fill "
            "in rt_start_day, or add a growth model without radiotherapy, such as exponential or "
            "gompertz."
        )
    held = _measurable(timelines)
    patients = [t.patient for t in held]
    n_patients = len(set(patients))
    in_range("population.n_folds", n_folds, 2, 1000)
    n_folds = _enough_patients(held, n_folds)
    floor = size_floor(timelines, n_folds=n_folds, seed=seed) if floor is None else floor
    steps = _Steps(progress, len(chosen) * (n_folds + 1))
    kept: list[tuple[PopulationPrior, Calibration, dict[str, float]]] = []
    forecasts = []
    seen, truth, _ = _last_held_out(held)
    largest = max(float(t.sizes.max()) for t in held)
    for law in chosen:
        samples = _cross_fitted(held, law, floor, n_folds, n, seed, alpha_beta_gy, steps.done)
        calibration = _calibration(samples, truth, floor, patients)
        forecasts.append(np.minimum(samples, HEADROOM * largest))
        whole = fit_population_prior(held, law, floor=floor, seed=seed, alpha_beta_gy=alpha_beta_gy)
        kept.append((whole, calibration, _scores(held, samples)))
        steps.done()
    scale = np.array([t.sizes.max() for t in seen]) + floor
    weights = ensemble_weights(np.stack(forecasts), truth, scale, patients)
    counts = shares(weights, n)
    together = np.concatenate(
        [thinned(s, k) for s, k in zip(forecasts, counts, strict=True) if k], axis=1
    )
    members = [
        Member(p, float(w), c, held_out)
        for (p, c, held_out), w in zip(kept, weights, strict=True)
    ]
    members.sort(key=lambda m: -m.weight)
    facts = {"n_patients": n_patients, "n_slices": len(held), "seed": seed, "n_folds": n_folds}
    return Ensemble(tuple(members), unit, {**(about or {}), **facts}, alpha_beta_gy,
                _calibration(together, truth, floor, patients), HEADROOM * largest,
                _scores(held, together))  # fmt: skip


def _scores(timelines: Sequence[SizeSeries], samples: np.ndarray) -> dict[str, float]:
    """Mean relative CRPS and median nRMSE of the last visits."""
    _, truth, _ = _last_held_out(timelines)
    some = truth > 0
    away = np.abs(np.median(samples, axis=1) - truth)[some] / truth[some]
    found = {"crps_relative": _relative_crps(timelines, samples)}
    return found | ({"nrmse_median": float(np.median(away))} if some.any() else {})


def _calibration(
    samples: np.ndarray, truth: np.ndarray, floor: float, patients: Sequence[str]
) -> Calibration:
    errors = Spread.of(samples, floor).scores(truth[:, None])[:, 0]
    return Calibration.of(errors, np.array(patients))


def _cross_fitted(
    timelines: Sequence[SizeSeries], law: GrowthModel, floor: float, n_folds: int, n: int,
    seed: int, alpha_beta_gy: float | None, done: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Draws (S, n) of every last visit by population priors fitted without its patient."""
    fold = folds([t.patient for t in timelines], n_folds, seed)
    seen, _, ends = _last_held_out(timelines)
    samples = np.empty((len(timelines), n))
    for k in range(n_folds):
        others = [t for t, f in zip(timelines, fold, strict=True) if f != k]
        population = fit_population_prior(others, law, floor=floor, seed=seed,
                                    alpha_beta_gy=alpha_beta_gy)  # fmt: skip
        here = np.flatnonzero(fold == k)
        samples[here] = drawn(population, [seen[i] for i in here], ends[here], n=n,
                              alpha_beta_gy=alpha_beta_gy).samples  # fmt: skip
        done()
    return samples


class _Steps:
    def __init__(self, report: Callable[[int, int], None] | None, total: int) -> None:
        self.report, self.total, self.count = report, total, 0

    def done(self) -> None:
        self.count += 1
        if self.report is not None:
            self.report(self.count, self.total)


def _chosen(
    timelines: Sequence[SizeSeries], laws: Sequence[GrowthModel | str]
) -> list[GrowthModel]:
    treated = any(t.courses for t in timelines)
    found = [get_growth_model(law) for law in laws]
    return [law for law in found if treated or not law.knows_radiotherapy]


def _last_held_out(
    timelines: Sequence[SizeSeries],
) -> tuple[list[SizeSeries], np.ndarray, np.ndarray]:
    """Visits before the last day, sizes on the last day (N,), first and last days (N, 2)."""
    seen, truth, ends = [], [], []
    for timeline in timelines:
        last = timeline.visits[-1]
        seen.append(timeline.before(last.day))
        truth.append(last.size)
        ends.append([timeline.visits[0].day, last.day])
    return seen, np.array(truth), np.array(ends)

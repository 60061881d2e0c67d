"""Comparison of size forecasts on one cohort, cross-fitted over patients.

The last visit of every series is held out (with `holdouts` k, each of the last k visits). A
forecast uses only visits strictly before the held-out day. Models of a cohort are fitted to the
patients of other folds.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mechlearn.checks import in_range
from mechlearn.data.patients_table import complete
from mechlearn.data.size_table import read_series
from mechlearn.evaluation.comparison_table import SizeComparison
from mechlearn.evaluation.growth_fits import quiet_fits
from mechlearn.evaluation.population_fit import in_order
from mechlearn.evaluation.presets import GROWTH, as_baseline
from mechlearn.evaluation.rows import Row
from mechlearn.growth.cohort_ratio import cohort_floor
from mechlearn.growth.ensemble import Ensemble
from mechlearn.growth.ensemble_fit import ENSEMBLE_MODELS, fit_ensemble
from mechlearn.growth.growth_spec import LEARNED, POOLED, GrowthSpec
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.growth.residual_model import patient_folds
from mechlearn.growth.size_forecast import forecasts
from mechlearn.growth.size_prior import BASELINES, SizePrior
from mechlearn.growth.size_prior_fit import LearnedSpec, fit_size_prior
from mechlearn.metrics.size_scores import crps, interval_covers, nrmse, winkler
from mechlearn.records import SizeForecast, SizeSeries

__all__ = ["MODELS", "beside_baselines", "compare"]

log = logging.getLogger(__name__)

MODELS = (LEARNED, "cohort_ratio", "carry_forward", "linear", "exponential")
_POOL_NAMES = (POOLED, "ensemble")
Made = SizeForecast | Exception
# (series, days) -> forecasts, by a model that was fitted to other patients.
Run = Callable[[Sequence[SizeSeries], Sequence[float]], list[Made]]


def compare(
    sizes: str | Path | Sequence[SizeSeries], *, models: Sequence[str] = MODELS, holdouts: int = 1,
    prior: SizePrior | None = None, learned: LearnedSpec | None = None, n_folds: int = 5,
    seed: int = 0, patients: str | Path | None = None, companion: str | Path | None = None,
) -> SizeComparison:
    """Compare size forecasts on held-out visits of a cohort.

    Args:
        sizes: CSV of `data.size_table`, or series.
        models: `learned`, `cohort_ratio`, `carry_forward` (both with the cohort's intervals),
            `ensemble` (the growth models under a population prior of the cohort), or a growth model
            fitted as in the paper, such as `linear`, `exponential`, `gompertz` or `ode`.
        holdouts: number of last visits that are forecast, each from the visits before it.
        prior: a prior from another cohort, in place of cross-fitted ones (external validation).
            `cohort_ratio` and `carry_forward` then also come from its cohort.
        learned: settings of the size prior.
        n_folds, seed: of the folds over patients.
        patients: a patients table (covariates, treatments), where `sizes` is a file.
        companion: sizes of another compartment of the same patients, where `sizes` is a file.

    Returns:
        The scores, one row a model and held-out visit; `.table()` is the text.

    Raises:
        ValueError: too few patients; an unknown model.

    Example:
        >>> compare("sizes.csv", models=["learned", "cohort_ratio"]).table()  # doctest: +SKIP
    """
    in_range("holdouts", holdouts, 1, 100)
    if isinstance(sizes, (str, Path)):
        sizes = complete(read_series(sizes).timelines, companion=companion, patients=patients)
    series = in_order(sizes)
    tasks = [
        (i, k) for i, s in enumerate(series) for k in range(1, holdouts + 1)
        if k < len(s.visits) and s.visits[0].day < s.visits[-k].day
    ]  # fmt: skip
    if not tasks:
        raise ValueError("compare: no series has two visits on different days.")
    floor = cohort_floor(np.concatenate([s.sizes for s in series]))
    fold = patient_folds(np.array([s.patient for s in series]), n_folds, seed)
    rows: list[Row] = []
    for k in range(1 if prior is not None else int(fold.max()) + 1):
        here = [t for t in tasks if prior is not None or fold[t[0]] == k]
        others = [s for s, f in zip(series, fold, strict=True) if f != k]
        with quiet_fits():
            rows += _fold(series, here, _runs(models, others, prior, learned, seed), floor)
        log.info("compare: %d of %d held-out visits", len({r["task"] for r in rows}), len(tasks))
    return SizeComparison(tuple(rows), tuple(models), series[0].unit)


def beside_baselines(
    series: Sequence[SizeSeries], made: Mapping[str, Sequence[Made]], *, n_folds: int, seed: int
) -> SizeComparison:
    """Scores of given forecasts of every last visit, with those of the cohort's baselines.

    Args:
        series: the cohort, `in_order`.
        made: model -> its forecast, or error, of every series. A model with the name of a baseline
            is left out where the cohort's baseline can be computed.
        n_folds, seed: of the baselines' folds over patients. With too few patients there are no
            such baselines.
    """
    whole = [i for i, s in enumerate(series) if s.visits[0].day < s.visits[-1].day]
    floor = cohort_floor(np.concatenate([s.sizes for s in series]))
    cohort = SizeComparison((), (), series[0].unit)
    try:
        cohort = compare(series, models=BASELINES, n_folds=n_folds, seed=seed)
    except ValueError as error:
        log.info("no cohort ratio for comparison: %s", error)
    own = {name: found for name, found in made.items() if name not in cohort.models}
    rows = [_row(series[i], 1, name, found[i], floor) for name, found in own.items() for i in whole]
    return SizeComparison((*rows, *cohort.rows), (*own, *cohort.models), series[0].unit)


def _runs(
    models: Sequence[str], others: Sequence[SizeSeries], prior: SizePrior | None,
    learned: LearnedSpec | None, seed: int,
) -> dict[str, Run]:
    """Model -> function that forecasts; models of a cohort are fitted to `others`."""
    runs: dict[str, Run] = {}
    if prior is None and any(m in (LEARNED, *BASELINES) for m in models):
        prior = fit_size_prior(others, learned)
    for name in models:
        if name in (LEARNED, *BASELINES):
            assert prior is not None
            runs[name] = _prior_run(prior if name == LEARNED else prior.baseline(name))
        elif name in _POOL_NAMES:
            ensemble = fit_ensemble(others, ENSEMBLE_MODELS, unit=others[0].unit, seed=seed)
            spec = dataclasses.replace(GROWTH[POOLED], population="given", n_bootstrap=400,
                                       seed=seed)  # fmt: skip
            runs[name] = partial(_growth_run, spec, ensemble)
        else:
            spec = as_baseline(name, GrowthSpec(seed=seed))
            runs[name] = partial(_growth_run, spec, None)
    return runs


def _growth_run(
    spec: GrowthSpec, ensemble: Ensemble | None, series: Sequence[SizeSeries], days: Sequence[float]
) -> list[Made]:
    return forecasts(series, days, spec=spec, ensemble=ensemble)


def _prior_run(prior: SizePrior) -> Run:
    def one(series: SizeSeries, day: float) -> Made:
        try:
            return forecast_size(series, day, prior=prior)
        except ValueError as error:
            return error

    return lambda series, days: [one(s, d) for s, d in zip(series, days, strict=True)]


def _fold(
    series: Sequence[SizeSeries], tasks: Sequence[tuple[int, int]], runs: dict[str, Run],
    floor: float,
) -> list[Row]:
    cut = [_until(series[i], k) for i, k in tasks]
    days = [s.visits[-1].day for s in cut]
    rows = []
    for name, run in runs.items():
        for s, (_, k), made in zip(cut, tasks, run(cut, days), strict=True):
            rows.append(_row(s, k, name, made, floor))
    return rows


def _until(series: SizeSeries, k: int) -> SizeSeries:
    """The series up to and including its k-th visit from the end."""
    visits = series.visits[: len(series.visits) - k + 1]
    return dataclasses.replace(series, visits=visits)


def _row(series: SizeSeries, holdout: int, model: str, made: Made, floor: float) -> Row:
    last = series.visits[-1]
    seen = series.before(last.day)
    row: Row = {
        "task": f"{series.name}#{holdout}", "series": series.name, "patient": series.patient,
        "model": model, "holdout": holdout, "n_seen": int(np.unique(seen.days).size),
        "horizon_days": last.day - seen.visits[-1].day, "size_true": last.size, "failed": None,
    }  # fmt: skip
    if isinstance(made, Exception):
        return row | {"failed": str(made)}
    largest = float(seen.sizes.max())
    low, high = made.interval()
    logs = np.log(made.samples + floor)
    return row | {
        "median": made.median, "low": low, "high": high,
        "crps_relative": crps(made.samples, last.size) / largest if largest > 0 else None,
        "crps_log": crps(logs, float(np.log(last.size + floor))),
        "nrmse": nrmse(made.median, last.size),
        "covered": float(interval_covers((low, high), last.size)),
        "width": (high - low) / largest if largest > 0 else None,
        "winkler": winkler((low, high), last.size) / largest if largest > 0 else None,
    }

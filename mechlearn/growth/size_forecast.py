"""Forecast of the tumour area on a later day from the visits of a slice."""

from __future__ import annotations

import dataclasses
import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from mechlearn.growth.bootstrap import Bootstrap, bootstraps
from mechlearn.growth.ensemble import Ensemble
from mechlearn.growth.ensemble_forecast import ensemble_forecasts
from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_spec import LEARNED, GrowthSpec
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.series_checks import check_brain, check_dates
from mechlearn.growth.size_prior import SizePrior
from mechlearn.growth.treatment import effect_gy
from mechlearn.records import SizeForecast, SizeSeries

__all__ = ["forecast", "forecasts", "visible"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


def visible(
    timeline: SizeSeries, day: float, spec: GrowthSpec, *, known: bool | None = None
) -> SizeSeries:
    """The visits that a forecast for `day` uses: with setup `train` those strictly before it.

    `known`: there is a population prior; by default, whether the spec names one.

    Raises:
        DegenerateSeriesError: no visit is left, or fewer than `growth.min_visits`. With a
            population prior, and for carry_forward, one visit is enough.
    """
    name, seen = timeline.name, timeline.visits
    if spec.setup == "train":
        seen = tuple(v for v in seen if v.day < day)
    known = spec.population is not None if known is None else known
    alone = not known and spec.resolve().min_visits > 1
    needed = spec.min_visits if alone else 1
    if len(seen) < needed:
        where = f"before day {day:g}" if spec.setup == "train" else "in all"
        wider = " or growth.setup=all" if len(timeline.visits) >= needed else ""
        raise DegenerateSeriesError(
            f"timeline {name}: {len(seen)} visit(s) {where}; growth.min_visits={needed} for "
            f"growth.law={spec.law}. Drop the slice, or use growth.law=carry_forward, "
            f"growth.fallback=carry_forward{wider}."
        )
    return dataclasses.replace(timeline, visits=seen)


def forecast(
    timeline: SizeSeries, day: float, *, spec: GrowthSpec, ensemble: Ensemble | None = None
) -> SizeForecast:
    """Distribution of the tumour area of one slice on `day`.

    Args:
        timeline: all visits of the slice. With `spec.setup="train"` only those strictly before
            `day` are used (the paper forecasts the day of the last visit); with `all`, all are.
        day: days since the patient's first visit.
        spec: growth model, population prior, bootstrap, bounds, fallback.
        ensemble: replaces the population that `spec.population` names.

    Returns:
        Samples on `day` and the curves from the first visit to it. Upper limits of the areas are
        `spec.max_growth`, if set, and with a population prior `Ensemble.limit`: 1.5 times the
        largest size of the cohort or of the slice, whichever is larger.

    Raises:
        ValueError: `day` lies before the first visit; too few visits (DegenerateSeriesError).
        RuntimeError: the first fit did not converge.
    """
    made = forecasts([timeline], [day], spec=spec, ensemble=ensemble)[0]
    if isinstance(made, Exception):
        raise made
    return made


def forecasts(
    timelines: Sequence[SizeSeries], days: Sequence[float], *, spec: GrowthSpec,
    ensemble: Ensemble | SizePrior | None = None,
) -> list[SizeForecast | Exception]:
    """`forecast` of many slices at once, each to its own day.

    For a slice that cannot be forecast the list holds the error (ValueError or RuntimeError). The
    result of a slice does not depend on the others.
    """
    pairs = list(zip(timelines, days, strict=True))
    if spec.law == LEARNED:
        prior = ensemble if isinstance(ensemble, SizePrior) else spec.population
        return [_caught(forecast_size, t, day, prior=prior) for t, day in pairs]
    if isinstance(ensemble, SizePrior):
        raise ValueError(f"growth.law={spec.law!r}: a size prior needs growth.law=learned.")
    if ensemble is None and spec.population is not None:
        ensemble = load_ensemble(spec.population)
    known = ensemble is not None
    doses = ensemble.alpha_beta_gy if ensemble is not None else spec.dose_model
    seen = [_caught(_seen, timeline, day, spec, known, doses) for timeline, day in pairs]
    ready = [(s, day) for s, day in zip(seen, days, strict=True) if isinstance(s, SizeSeries)]
    parts = [s for s, _ in ready], [day for _, day in ready]
    made: Iterator[SizeForecast | Exception] = iter(
        _bootstrapped(*parts, spec) if ensemble is None
        else ensemble_forecasts(*parts, spec, ensemble)
    )  # fmt: skip
    out = [next(made) if isinstance(s, SizeSeries) else s for s in seen]
    return [
        _fallen_back(pair, spec, error) if isinstance(error, DegenerateSeriesError) else error
        for pair, error in zip(pairs, out, strict=True)
    ]


def _caught(job: Callable[..., T], *arguments: object, **named: object) -> T | Exception:
    try:
        return job(*arguments, **named)
    except (ValueError, RuntimeError) as error:
        return error


def _seen(
    timeline: SizeSeries, day: float, spec: GrowthSpec, known: bool, doses: float | None
) -> SizeSeries:
    check_dates(timeline, day)
    first = timeline.visits[0].day
    if day < first:
        raise ValueError(
            f"timeline {timeline.name}: forecast day {day:g} lies before the first visit "
            f"(day {first:g}). Days count from the patient's first visit."
        )
    if doses is not None:
        for course in timeline.courses:
            try:
                effect_gy(course, alpha_beta_gy=doses)
            except ValueError as error:
                raise ValueError(f"timeline {timeline.name}: {error}") from error
    seen = visible(timeline, day, spec, known=known)
    if seen.unit == "mm2":  # volumes: checked by `forecast_size` with a packaged prior
        check_brain(seen)
    return seen


def _bootstrapped(
    timelines: Sequence[SizeSeries], days: Sequence[float], spec: GrowthSpec
) -> list[SizeForecast | Exception]:
    """Forecasts without a population prior, by the paper's parametric bootstrap."""
    # The seed comes from the slice's name, so the order of the cohort does not change results.
    rngs = [np.random.default_rng([spec.seed, zlib.crc32(t.name.encode())]) for t in timelines]
    found = bootstraps(timelines, spec, rngs=rngs)
    return [
        result if isinstance(result, Exception)
        else _caught(_of_bootstrap, timeline, day, spec, result)
        for timeline, day, result in zip(timelines, days, found, strict=True)
    ]  # fmt: skip


def _of_bootstrap(
    timeline: SizeSeries, day: float, spec: GrowthSpec, result: Bootstrap
) -> SizeForecast:
    curve_days = np.linspace(timeline.visits[0].day, day, spec.curve_points)
    curves = result.curves(curve_days)
    if spec.max_growth is not None:
        limit = spec.max_growth * float(result.problem.areas.max()) * result.problem.scale_mm2
        curves = np.minimum(curves, limit)
    return SizeForecast(
        name=timeline.name,
        day=float(day),
        samples=curves[:, -1].copy(),
        curve_days=curve_days,
        curves=curves,
        law=result.point.law.name,
        parameters=result.parameters,
        n_failed=result.n_failed,
        unit=timeline.unit,
    )


def _fallen_back(
    pair: tuple[SizeSeries, float], spec: GrowthSpec, error: DegenerateSeriesError
) -> SizeForecast | Exception:
    """The forecast by `spec.fallback`, or the error if the spec has no fallback."""
    if spec.fallback is None or spec.fallback == spec.law:
        return error
    logger.warning("%s Falling back to growth model %s.", error, spec.fallback)
    simpler = dataclasses.replace(
        spec, law=spec.fallback, population=None, fallback=None, bounds={}, fixed={}, tied={}
    )
    return forecasts([pair[0]], [pair[1]], spec=simpler)[0]

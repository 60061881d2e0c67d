"""Calibrated forecasts with population priors: of one growth model, or of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.growth.ensemble import (
    Ensemble,
    Member,
    Spread,
    even_ranks,
    shares,
)
from mechlearn.growth.fit_problems import FitProblem
from mechlearn.growth.growth_spec import POOLED, GrowthSpec
from mechlearn.growth.posterior_draws import drawn
from mechlearn.records import SizeForecast, SizeSeries

__all__ = ["ensemble_forecasts", "members_for"]

_BLOCK = 64  # series drawn at once: bounds the memory
_DRAWS = 512  # of every growth model: Monte Carlo error of a 95% limit is then about 2%


def members_for(spec: GrowthSpec, ensemble: Ensemble) -> tuple[Member, ...]:
    """The members of an ensemble that a spec selects.

    Raises:
        ValueError: the ensemble lacks the growth model, or was fitted without doses.
    """
    if spec.dose_model is not None and ensemble.alpha_beta_gy != spec.dose_model:
        raise ValueError(
            f"growth.survival='linear_quadratic', growth.alpha_beta_gy={spec.alpha_beta_gy:g}: the "
            f"population was fitted with alpha/beta {ensemble.alpha_beta_gy} (None: surviving "
            "fractions, no doses). Fit one with these settings, or use growth.survival=fraction."
        )
    return ensemble.members if spec.law == POOLED else (ensemble.member(spec.resolve().name),)


def ensemble_forecasts(
    timelines: Sequence[SizeSeries], days: Sequence[float], spec: GrowthSpec, ensemble: Ensemble
) -> list[SizeForecast]:
    """Forecasts of slices from the given visits, each to its day of `days`."""
    members = members_for(spec, ensemble)
    out: list[SizeForecast] = []
    for begin in range(0, len(timelines), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        out += _block(timelines[block], days[block], spec, ensemble, members)
    return out


def _block(
    timelines: Sequence[SizeSeries], days: Sequence[float], spec: GrowthSpec, ensemble: Ensemble,
    members: Sequence[Member],
) -> list[SizeForecast]:
    grid = np.array([
        np.linspace(t.visits[0].day, day, spec.curve_points)
        for t, day in zip(timelines, days, strict=True)
    ])  # fmt: skip
    alone = spec.law != POOLED  # one growth model: its weight in the ensemble is ignored
    counts = shares([1.0] if alone else [m.weight for m in members], spec.n_bootstrap)
    parts = [
        _part(member, timelines, grid, count, spec, ensemble)
        for member, count in zip(members, counts, strict=True) if count
    ]  # fmt: skip
    weights = {m.name: k / spec.n_bootstrap for m, k in zip(members, counts, strict=True) if k}
    given = np.concatenate([part.samples for part in parts], axis=1)
    curves = np.concatenate([part.curves for part in parts], axis=1)
    chosen = [1.0 if alone else m.weight for m in members if m.name in weights]
    samples = _mixed(parts, chosen, given)
    calibration = ensemble.calibration if spec.law == POOLED else members[0].calibration
    if spec.calibrate and calibration is not None:
        spread = Spread.of(samples, ensemble.floor)
        samples = spread.sizes(calibration.correct(spread.scores(samples)))
    curves = _bent(timelines, grid, curves, given, samples, ensemble.floor)
    largest = np.array([t.sizes.max() for t in timelines])
    limit = ensemble.limit(largest)[:, None]
    if spec.max_growth is not None:
        limit = np.minimum(limit, spec.max_growth * largest[:, None])
    samples, curves = np.minimum(samples, limit), np.minimum(curves, limit[..., None])
    return [
        SizeForecast(
            name=timeline.name, day=float(day), samples=samples[i],
            curve_days=grid[i], curves=curves[i], law=spec.law,
            parameters=_parameters(parts, i),
            n_failed=sum(int(part.n_failed[i]) for part in parts),
            population=str(ensemble.about.get("cohort", "unnamed")), weights=weights,
            unit=timeline.unit,
        )
        for i, (timeline, day) in enumerate(zip(timelines, days, strict=True))
    ]  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """Draws of one growth model for a block of forecasts: arrays (S, count, ...); `every` (S, n)
    holds all samples, the others a subset."""

    name: str
    problems: Sequence[FitProblem]
    samples: np.ndarray
    curves: np.ndarray
    values: np.ndarray
    n_failed: np.ndarray
    every: np.ndarray


def _mixed(parts: Sequence[_Part], weights: Sequence[float], samples: np.ndarray) -> np.ndarray:
    """Quantiles (S, N) of the weighted mixture of all draws, in the order of `samples` (S, N)."""
    values = np.concatenate([part.every for part in parts], axis=1)
    shares = np.concatenate([
        np.full(part.every.shape[1], w / part.every.shape[1])
        for part, w in zip(parts, weights, strict=True)
    ])  # fmt: skip
    order = np.argsort(values, axis=1, kind="stable")
    position = np.cumsum(shares[order], axis=1) - shares[order] / 2
    levels = (np.arange(samples.shape[1]) + 0.5) / samples.shape[1] * shares.sum()
    ranks = np.argsort(np.argsort(samples, axis=1, kind="stable"), axis=1)
    rows = zip(position, np.take_along_axis(values, order, 1), ranks, strict=True)
    return np.array([np.interp(levels, at, held)[rank] for at, held, rank in rows])


def _parameters(parts: Sequence[_Part], i: int) -> dict[str, np.ndarray]:
    """Draws of slice i by parameter; `law.parameter` where there are several growth models."""
    named = {part.name: part.problems[i].named_mm2(part.values[i]) for part in parts}
    if len(named) == 1:
        return next(iter(named.values()))
    return {f"{law}.{key}": held for law, found in named.items() for key, held in found.items()}


def _part(
    member: Member, timelines: Sequence[SizeSeries], grid: np.ndarray, count: int,
    spec: GrowthSpec, ensemble: Ensemble,
) -> _Part:
    """`count` draws of a growth model, spaced evenly over their ranks on the forecast day."""
    population = member.population
    draws = drawn(population, timelines, grid, n=max(spec.n_bootstrap, _DRAWS),
                  alpha_beta_gy=ensemble.alpha_beta_gy, engine=spec.engine)  # fmt: skip
    samples, curves = draws.samples, draws.curves
    kept = even_ranks(samples, count)
    law = population.law
    log = np.array([p.scale == "log" for p in law.parameters])
    values = np.where(log, np.exp(np.where(log, draws.x, 0.0)), draws.x)
    problems = [FitProblem.of(t, law, hold=False, alpha_beta_gy=ensemble.alpha_beta_gy)
                for t in timelines]  # fmt: skip
    return _Part(
        law.name, problems, np.take_along_axis(samples, kept, 1),
        np.take_along_axis(curves, kept[..., None], 1),
        np.take_along_axis(values, kept[..., None], 1),
        (~np.take_along_axis(draws.converged, kept, 1)).sum(axis=1), samples,
    )  # fmt: skip


def _bent(
    timelines: Sequence[SizeSeries], grid: np.ndarray, curves: np.ndarray, samples: np.ndarray,
    corrected: np.ndarray, floor: float,
) -> np.ndarray:
    """Apply the correction to the curves, linear in time from the last visit to the forecast
    day (on the log scale)."""
    last = np.array([[t.visits[-1].day] for t in timelines])
    along = (grid - last) / np.maximum(grid[:, -1:] - last, 1e-9)
    shift = np.log(corrected + floor) - np.log(samples + floor)
    bent = (curves + floor) * np.exp(np.clip(along, 0, 1)[:, None] * shift[..., None]) - floor
    return np.maximum(bent, 0.0)

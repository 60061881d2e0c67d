"""From visits to the distribution of the tumour area on a later day."""

from __future__ import annotations

import dataclasses
import logging
import zlib

import numpy as np

from mechlearn.checks import finite
from mechlearn.growth.bootstrap import Bootstrap, bootstrap
from mechlearn.growth.problem import DegenerateSeriesError
from mechlearn.growth.spec import GrowthSpec
from mechlearn.records import GrowthForecast, Timeline

__all__ = ["forecast", "visible"]

logger = logging.getLogger(__name__)


def visible(timeline: Timeline, day: float, spec: GrowthSpec) -> Timeline:
    """The visits that a forecast for `day` may see: setup `train`, those strictly before it.

    Raises:
        DegenerateSeriesError: none is left, or fewer than `growth.min_visits` (a law that needs
            one visit only, carry_forward, is exempt).
    """
    name, law = timeline.slice_id, spec.resolve()
    seen = timeline.visits
    if spec.setup == "train":
        seen = tuple(v for v in seen if v.day < day)
    needed = spec.min_visits if law.min_visits > 1 else law.min_visits
    if len(seen) < needed:
        where = f"before day {day:g}" if spec.setup == "train" else "in all"
        wider = " or growth.setup=all" if len(timeline.visits) >= needed else ""
        raise DegenerateSeriesError(
            f"timeline {name}: {len(seen)} visit(s) {where}; growth.min_visits={needed} for law "
            f"{law.name}. Drop the slice, or use growth.law=carry_forward, "
            f"growth.fallback=carry_forward{wider}."
        )
    return dataclasses.replace(timeline, visits=seen)


def _bootstrap_with_fallback(timeline: Timeline, day: float, spec: GrowthSpec) -> Bootstrap:
    # The slice's name, not its place in a list, seeds it: results survive a reordered cohort.
    seed = [spec.seed, zlib.crc32(timeline.slice_id.encode())]
    try:
        seen = visible(timeline, day, spec)
        return bootstrap(seen, spec, rng=np.random.default_rng(seed))
    except DegenerateSeriesError as error:
        if spec.fallback is None or spec.fallback == spec.law:
            raise
        logger.warning("%s Falling back to law %s.", error, spec.fallback)
        simpler = dataclasses.replace(spec, law=spec.fallback, fallback=None, bounds={})
        seen = visible(timeline, day, simpler)
        return bootstrap(seen, simpler, rng=np.random.default_rng(seed))


def forecast(timeline: Timeline, day: float, *, spec: GrowthSpec) -> GrowthForecast:
    """Bootstrap distribution of the tumour area of one slice on `day`.

    Args:
        timeline: all visits of the slice. `spec.setup` decides which are seen: `train` those
            strictly before `day` (forecasting the last visit's day is the paper's setup), `all`
            every one.
        day: days since the patient's first visit.
        spec: law, bootstrap, bounds, fallback.

    Returns:
        Samples on `day` and the curves from the first visit to it. Areas are extrapolated as they
        come unless `spec.max_growth` limits them.

    Raises:
        ValueError: `day` lies before the first visit; too few visits (DegenerateSeriesError).
        RuntimeError: the first fit did not converge.
    """
    finite("forecast day", day)
    first = timeline.visits[0].day
    if day < first:
        raise ValueError(
            f"timeline {timeline.slice_id}: forecast day {day:g} lies before the first visit "
            f"(day {first:g}). Days count from the patient's first visit."
        )
    result = _bootstrap_with_fallback(timeline, day, spec)
    curve_days = np.linspace(first, day, spec.curve_points)
    curves = result.curves(curve_days)
    if spec.max_growth is not None:
        limit = spec.max_growth * float(result.problem.areas.max()) * result.problem.scale_mm2
        curves = np.minimum(curves, limit)
    return GrowthForecast(
        slice_id=timeline.slice_id,
        day=float(day),
        samples_mm2=curves[:, -1].copy(),
        curve_days=curve_days,
        curves_mm2=curves,
        law=result.point.law.name,
        parameters=result.parameters,
        n_failed=result.n_failed,
    )

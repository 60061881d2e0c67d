"""The forecast had radiotherapy begun on another day, with another dose, or not at all.

The law is fitted to the visits under the courses as they were. Each of its draws then gives a
ratio, law under the other courses over law under the actual ones, and the ratio multiplies the
drawn curve. What the law lacks (`measurement_noise`) stays as the visits show it and as it was
drawn for later days: only the treatment changes.

This is a prediction of the model for a course it did not see, not an observation: no visit shows
how the tumour would have gone on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from mechlearn.growth.ensemble import Ensemble
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.growth_spec import POOLED, GrowthSpec
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.series_checks import check_dates
from mechlearn.growth.size_forecast import forecast, visible
from mechlearn.growth.treatment import Courses, effect_gy
from mechlearn.records import Radiotherapy, SizeForecast, SizeSeries

__all__ = ["what_if"]


def what_if(
    timeline: SizeSeries, day: float, *, spec: GrowthSpec, courses: Sequence[Radiotherapy],
    ensemble: Ensemble | None = None,
) -> SizeForecast:
    """`forecast` of one slice to `day` had its courses of radiotherapy been `courses`.

    The size at the first visit is the same in both worlds. Until the first day on which the
    courses differ so are the curves; visits after it belong to the actual world and count for the
    parameters alone. Laws of an ensemble without radiotherapy do not respond, and keep their share.

    Args:
        timeline: the slice with the courses as they were.
        day: days since the patient's first visit.
        spec: as for `forecast`: which visits are seen, the law, the population.
        courses: in place of the actual ones; () for no radiotherapy. A course without dose and
            fractions has those of the actual course of the same number (the last one, where there
            are fewer). With other ones the surviving part becomes S^(E_other / E_actual), E the
            biologically effective dose by `spec.alpha_beta_gy`.
        ensemble: the population, in place of the one that `spec.population` names.

    Raises:
        ValueError: no law that knows radiotherapy; a dose that is needed and not known; nothing
            seen of radiotherapy, and no population that would tell of it.
        DegenerateSeriesError, RuntimeError: as `forecast`.
    """
    other = dataclasses.replace(timeline, courses=_dosed(timeline.courses, courses))
    check_dates(other, day)
    if ensemble is None and spec.population is not None:
        ensemble = load_ensemble(spec.population)
    _refuse_deaf(timeline, spec, ensemble)
    uncut = dataclasses.replace(spec, max_growth=None)
    made = forecast(timeline, day, spec=uncut, ensemble=ensemble)
    seen = visible(timeline, day, spec, known=ensemble is not None)
    if ensemble is None and courses and not _sees(seen):
        raise ValueError(
            f"timeline {timeline.name}: no visit after the start of radiotherapy is seen, so "
            "what a course does to this tumour is not known. Use growth.population, whose cohort "
            "tells of it."
        )
    ratio = np.concatenate([
        _ratio(law, values, made.curve_days, timeline, other, spec, ensemble)
        for law, values in _parts(made, spec, ensemble)
    ])  # fmt: skip
    limit = np.inf if spec.max_growth is None else spec.max_growth * float(seen.sizes.max())
    if ensemble is not None:
        limit = min(limit, float(ensemble.limit(np.array([seen.sizes.max()]))[0]))
    return dataclasses.replace(
        made, samples=np.minimum(made.samples * ratio[:, -1], limit),
        curves=np.minimum(made.curves * ratio, limit),
    )  # fmt: skip


def _refuse_deaf(timeline: SizeSeries, spec: GrowthSpec, ensemble: Ensemble | None) -> None:
    if ensemble is None:
        laws = [spec.resolve()]
    elif spec.law == POOLED:
        laws = [m.population.law for m in ensemble.members]
    else:
        laws = [ensemble.member(spec.resolve().name).population.law]
    if not any(law.knows_radiotherapy for law in laws):
        raise ValueError(
            f"timeline {timeline.name}: growth.law={spec.law!r} ("
            f"{', '.join(law.name for law in laws)}) does not know radiotherapy, so no course "
            "changes its forecast. Use one that does: ode, linear_rt, logistic_rt or gompertz_rt."
        )


def _sees(timeline: SizeSeries) -> bool:
    return any(timeline.days[-1] > course.start_day for course in timeline.courses)


def _parts(
    made: SizeForecast, spec: GrowthSpec, ensemble: Ensemble | None
) -> list[tuple[GrowthModel, Mapping[str, np.ndarray]]]:
    """Each law of a forecast with its draws, in the order of the forecast's samples."""
    if ensemble is None:
        law = spec.resolve()
        return [(law if law.name == made.law else get_growth_model(made.law), made.parameters)]
    laws = [ensemble.member(name).population.law for name in made.weights]
    if len(laws) == 1:
        return [(laws[0], made.parameters)]
    return [(law, {n: made.parameters[f"{law.name}.{n}"] for n in law.names}) for law in laws]


def _ratio(
    law: GrowthModel, values: Mapping[str, np.ndarray], days: np.ndarray, actual: SizeSeries,
    other: SizeSeries, spec: GrowthSpec, ensemble: Ensemble | None,
) -> np.ndarray:
    """Growth model under the other courses over law under the actual ones, (n, T)."""
    origin = actual.visits[0].day
    if actual.courses == other.courses or not law.knows_radiotherapy:
        return np.ones((values["initial_area"].size, days.size))
    if "radiosensitivity" in law.names:
        doses = spec.dose_model if ensemble is None else ensemble.alpha_beta_gy
        given, changed = (
            Courses.of(t.courses, origin_day=origin, alpha_beta_gy=doses) for t in (actual, other)
        )
    else:
        given, changed = (Courses.of(t.courses, origin_day=origin) for t in (actual, other))
        shares = _shares(actual, other, spec.alpha_beta_gy)
        if any(share != 1 for share in shares):
            # Radiosensitivity in units of the actual course: S^share = exp(-share (-log S)).
            values = {**values, "radiosensitivity": -np.log(_surviving(law, values, actual))}
            law = law.linear_quadratic()
            changed = Courses(changed.starts, tuple(np.asarray(share) for share in shares))
    before, after = (law.area(days - origin, values, c) for c in (given, changed))
    return np.divide(after, before, out=np.ones_like(after), where=before > 0)


def _surviving(
    law: GrowthModel, values: Mapping[str, np.ndarray], timeline: SizeSeries
) -> np.ndarray:
    if "survival_fraction" not in law.names:
        raise ValueError(
            f"timeline {timeline.name}: law {law.name} has no surviving part, so another dose "
            "does not change it. Leave the dose as it was, or use growth.law=ode."
        )
    return values["survival_fraction"]


def _stands_for(actual: Sequence[Radiotherapy], number: int) -> Radiotherapy | None:
    """The actual course of a number; the last one beyond them."""
    return actual[min(number, len(actual) - 1)] if actual else None


def _dosed(actual: Sequence[Radiotherapy], courses: Sequence[Radiotherapy]
           ) -> tuple[Radiotherapy, ...]:  # fmt: skip
    """Courses without dose and fractions get those of the actual course they stand for."""
    out = []
    for number, course in enumerate(courses):
        given = _stands_for(actual, number)
        if given is not None and (course.dose_gy, course.fractions) == (None, None):
            course = dataclasses.replace(course, dose_gy=given.dose_gy, fractions=given.fractions)
        out.append(course)
    return tuple(out)


def _shares(actual: SizeSeries, other: SizeSeries, alpha_beta_gy: float) -> list[float]:
    """Effect of each other course over that of the actual one that it stands for."""
    out = []
    for number, course in enumerate(other.courses):
        given = _stands_for(actual.courses, number)
        doses = [(c.dose_gy, c.fractions) if c else (None, None) for c in (course, given)]
        if doses[0] == doses[1]:
            out.append(1.0)
        elif given is None or None in (*doses[0], *doses[1]):
            raise ValueError(
                f"timeline {actual.name}: radiotherapy from day {course.start_day:g} with "
                f"dose_gy={course.dose_gy}, fractions={course.fractions} in place of "
                f"dose_gy={doses[1][0]}, fractions={doses[1][1]}: another dose can be "
                "compared only where all four are known. Fill them in, or give neither dose "
                "nor fractions."
            )
        else:
            effects = [effect_gy(c, alpha_beta_gy=alpha_beta_gy) for c in (course, given)]
            out.append(effects[0] / effects[1])
    return out

"""Counterfactual forecast: radiotherapy on another day, with another dose, or none.

The growth model is fitted to the visits under the actual courses. For each draw of its parameters
the ratio of two curves is computed: the curve under the other courses over the curve under the
actual ones. The ratio multiplies the drawn curve. The model error (`measurement_noise`) does not
change: it stays as estimated at the visits and as drawn for later days.

The result is a prediction of the model, not an observation: no visit shows the tumour under the
other courses.
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
    """`forecast` of one slice to `day` under the courses of radiotherapy `courses`.

    Actual and counterfactual curves are equal until the first day on which the courses differ.
    Visits after that day show the tumour under the actual courses; they are used to estimate the
    parameters only. Growth models of an ensemble that do not include radiotherapy give the same
    curve under both courses, and keep their weight.

    Args:
        timeline: the slice with the actual courses.
        day: days since the patient's first visit.
        spec: as for `forecast`: the visits that are used, growth model, population prior.
        courses: replace the actual ones; () for no radiotherapy. A course without dose and
            fractions takes those of the actual course with the same index (of the last one, where
            there are fewer). With another dose or other fractions the surviving part is
            S^(E_other / E_actual), E the biologically effective dose by `spec.alpha_beta_gy`.
        ensemble: replaces the one that `spec.population` names.

    Raises:
        ValueError: no growth model includes radiotherapy; a dose is needed and not known; no visit
            after the start of radiotherapy is used, and there is no population prior.
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
            f"timeline {timeline.name}: no visit after the start of radiotherapy is used, so "
            "the effect of radiotherapy on this tumour is not known. Use growth.population, whose "
            "cohort gives a prior of this effect."
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
            f"{', '.join(law.name for law in laws)}) does not include radiotherapy, so no course "
            "changes its forecast. Use one that does: ode, linear_rt, logistic_rt or gompertz_rt."
        )


def _sees(timeline: SizeSeries) -> bool:
    return any(timeline.days[-1] > course.start_day for course in timeline.courses)


def _parts(
    made: SizeForecast, spec: GrowthSpec, ensemble: Ensemble | None
) -> list[tuple[GrowthModel, Mapping[str, np.ndarray]]]:
    """Each growth model of a forecast with its draws, in the order of the forecast's samples."""
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
    """Curve under the other courses over the curve under the actual ones, (n, T)."""
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
            f"timeline {timeline.name}: growth model {law.name} has no surviving fraction, so it "
            "does not depend on the dose. Keep the actual dose, or use growth.law=ode."
        )
    return values["survival_fraction"]


def _stands_for(actual: Sequence[Radiotherapy], number: int) -> Radiotherapy | None:
    """The actual course with this index; the last one where there are fewer."""
    return actual[min(number, len(actual) - 1)] if actual else None


def _dosed(actual: Sequence[Radiotherapy], courses: Sequence[Radiotherapy]
           ) -> tuple[Radiotherapy, ...]:  # fmt: skip
    """Courses without dose and fractions get those of the actual course that they replace."""
    out = []
    for number, course in enumerate(courses):
        given = _stands_for(actual, number)
        if given is not None and (course.dose_gy, course.fractions) == (None, None):
            course = dataclasses.replace(course, dose_gy=given.dose_gy, fractions=given.fractions)
        out.append(course)
    return tuple(out)


def _shares(actual: SizeSeries, other: SizeSeries, alpha_beta_gy: float) -> list[float]:
    """Effect of each other course over that of the actual course that it replaces."""
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

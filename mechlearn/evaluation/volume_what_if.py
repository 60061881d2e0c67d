"""Counterfactual forecast of the whole tumour under changed courses of radiotherapy.

    size_other = size * ratio,    ratio = model(other courses) / model(actual courses)

The growth model is fitted to the visits under the actual courses; each of its draws gives a ratio.
Sizes and ratios are combined as if they were independent, because the size forecast does not depend
on the response to radiotherapy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from mechlearn.evaluation.treatment_change import CourseChange, forecast_changed
from mechlearn.evaluation.volume_forecast import VolumeForecast
from mechlearn.growth.growth_spec import POOLED, GrowthSpec
from mechlearn.growth.learned_forecast import volume_to_slice
from mechlearn.growth.size_forecast import forecast
from mechlearn.records import Counterfactual, SizeForecast, SizeReading, SizeSeries

__all__ = ["DEFAULT_GROWTH", "VolumeWhatIf", "volume_what_if"]

DEFAULT_GROWTH = GrowthSpec(law=POOLED, population="phantom")  # as conf/growth/pooled.yaml
AREA_TO_VOLUME = 1.5  # exponent: a ratio of sections of spheres to a ratio of their volumes


@dataclass(frozen=True, eq=False)
class VolumeWhatIf:
    """A counterfactual forecast of a volume.

    Attributes:
        change: the change of the courses; `.forecast` holds the volumes in mm3.
        details: the forecast with these volumes and their growth map.
        origin: sentences about the model that it is computed from.
    """

    change: Counterfactual
    details: VolumeForecast
    origin: str


def volume_what_if(
    made: VolumeForecast, change: CourseChange, *, growth: GrowthSpec | None = None
) -> VolumeWhatIf:
    """The volume and the growth map under changed courses of radiotherapy.

    Args:
        made: the forecast under the actual courses.
        change: the change of the courses.
        growth: growth model of the ratio; None for `DEFAULT_GROWTH`. A population prior is of
            areas, so volumes are converted to sections of spheres. Without a population the growth
            model is fitted to the patient alone.

    Raises:
        ValueError: the courses or the growth model do not allow the change; too few visits.
        RuntimeError: the first fit did not converge.
    """
    growth = growth or DEFAULT_GROWTH
    series = made.series if growth.population is None else _sections(made.series)
    other = forecast_changed(series, made.size.day, growth=growth, change=change)
    actual = forecast(series, made.size.day, spec=dataclasses.replace(growth, max_growth=None))
    ratio = np.divide(other.forecast.curves, actual.curves,
                      out=np.ones_like(actual.curves), where=actual.curves > 0)  # fmt: skip
    if growth.population is not None:
        ratio = ratio**AREA_TO_VOLUME
    size = _times(made.size, actual.curve_days, ratio)
    cause = dataclasses.replace(other, forecast=size)
    return VolumeWhatIf(cause, made.on(size), _origin(growth, len(series.visits), other))


def _sections(series: SizeSeries) -> SizeSeries:
    """Volumes converted to areas: central sections of spheres."""
    def areas(readings: tuple[SizeReading, ...]) -> tuple[SizeReading, ...]:
        return tuple(
            dataclasses.replace(v, size=float(volume_to_slice(np.array(v.size)))) for v in readings
        )

    return dataclasses.replace(series, unit="mm2", visits=areas(series.visits), companions={})


def _times(size: SizeForecast, days: np.ndarray, ratio: np.ndarray) -> SizeForecast:
    """Size times ratio (n, T): quantiles of all products, with the forecast's number of samples."""
    count = size.samples.size
    levels = (np.arange(count) + 0.5) / count
    on_day = np.array([np.interp(size.curve_days, days, draw) for draw in ratio])  # (n, T)
    curves = np.stack([
        np.quantile(np.multiply.outer(size.curves[:, t], on_day[:, t]), levels)
        for t in range(size.curve_days.size)
    ], axis=1)  # fmt: skip
    unchanged = (on_day == 1).all(axis=0)
    curves[:, unchanged] = size.curves[:, unchanged]
    samples = np.quantile(np.multiply.outer(size.samples, ratio[:, -1]), levels)
    return dataclasses.replace(size, samples=samples, curves=curves)


def _origin(growth: GrowthSpec, visits: int, other: Counterfactual) -> str:
    if growth.population is None:
        model = f"the growth model {growth.law}, fitted to the {visits} visits of this patient"
    else:
        of = "simulated patients" if growth.population == "phantom" else growth.population
        pooled = growth.law == POOLED
        models = "the pooled growth models" if pooled else f"the growth model {growth.law}"
        model = f"{models} with a population prior from {of}"
    unmoved = ""
    if other.unmoved:
        unmoved = (
            f" {other.unmoved:.0%} of its draws come from growth models without radiotherapy and "
            "do not respond."
        )
    return (
        f"Computed from {model}: the forecast volume times the ratio of that model's curves with "
        f"and without the change. No patient was observed under it.{unmoved}"
    )

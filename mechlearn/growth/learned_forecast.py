"""Forecast of a size on a later day in one call, with a packaged prior or one of your own.

The packaged priors were fitted to the FLAIR and the enhancing volumes of MU-Glioma-Post (TCIA,
CC BY 4.0); `size_priors/README.md` is their card. They hold coefficients and quantiles, and no
patient's row.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from mechlearn.growth.series_checks import check_brain
from mechlearn.growth.size_prior import SizePrior
from mechlearn.records import SizeForecast, SizeReading, SizeSeries

__all__ = ["GLIOMA", "forecast_size", "load_size_prior", "slice_to_volume", "volume_to_slice"]

GLIOMA = "glioma"
AUTO = "auto"
_ENHANCING = ("enhancing", "core")  # compartments of the enhancing prior; others use FLAIR
_SPHERE = 4 / (3 * np.sqrt(np.pi))  # V = 4/3 pi (A / pi)^(3/2)


def forecast_size(
    series: SizeSeries, day: float, *, prior: SizePrior | str | Path | None = AUTO
) -> SizeForecast:
    """Distribution of a tumour's size on `day`, from its readings before that day.

    For a prior of volumes an area in mm2 is converted to the volume of the sphere with this central
    section, V = 4/3 pi (A / pi)^(3/2), and the forecast is converted back.

    Args:
        series: one reading is enough; radiotherapy, other treatments, covariates and a second
            compartment (`companions`) are used where they are known.
        day: days since the patient's first visit, after the first reading.
        prior: `auto` and `glioma` are the packaged prior of the series' compartment; or a file of
            `+experiment=population growth=learned`, or a fitted prior. None is `auto`.

    Returns:
        Exact quantiles: `samples` are 400 equally likely sizes, ascending. `population` names the
        prior and its number of patients.

    Raises:
        ValueError: no reading before `day`; a size larger than a brain; days that are dates.
        FileNotFoundError: no such file.

    Example:
        >>> readings = (SizeReading(0, 21000.0), SizeReading(60, 24000.0))
        >>> forecast = forecast_size(SizeSeries("P1", "P1", readings, unit="mm3"), 120)
        >>> low, high = forecast.interval(0.95)
        >>> low < forecast.median < high
        True
    """
    known = prior if isinstance(prior, SizePrior) else load_size_prior(prior, series.compartment)
    if known.about.get("packaged"):
        check_brain(series)
    if series.unit == known.unit or known.unit != "mm3":
        return known.forecast(series, day)
    made = known.forecast(_as_volumes(series), day)
    return dataclasses.replace(
        made, samples=volume_to_slice(made.samples), curves=volume_to_slice(made.curves),
        unit=series.unit, population=f"{made.population}; areas as sections of spheres",
    )  # fmt: skip


def load_size_prior(
    source: str | Path | None = AUTO, compartment: str = "whole"
) -> SizePrior:
    """The packaged prior for a compartment (`auto`, `glioma`), or one from a file."""
    if source is None or str(source) in (AUTO, GLIOMA):
        return _packaged("enhancing" if compartment in _ENHANCING else "flair")
    return SizePrior.load(source)


@cache
def _packaged(name: str) -> SizePrior:
    path = files("mechlearn.growth").joinpath(f"size_priors/{name}.json")
    return SizePrior.of(json.loads(path.read_text()), source=f"{GLIOMA} ({name})")


def slice_to_volume(areas: np.ndarray) -> np.ndarray:
    """Volume (mm3) of the sphere whose central section has an area (mm2)."""
    return np.asarray(_SPHERE * np.asarray(areas, float) ** 1.5)


def volume_to_slice(volumes: np.ndarray) -> np.ndarray:
    """The inverse of `slice_to_volume`."""
    return np.asarray((np.asarray(volumes, float) / _SPHERE) ** (2 / 3))


def _as_volumes(series: SizeSeries) -> SizeSeries:
    def volumes(readings: tuple[SizeReading, ...]) -> tuple[SizeReading, ...]:
        return tuple(
            dataclasses.replace(v, size=float(slice_to_volume(np.array(v.size)))) for v in readings
        )

    companions = {name: volumes(readings) for name, readings in series.companions.items()}
    return dataclasses.replace(
        series, unit="mm3", visits=volumes(series.visits), companions=companions
    )

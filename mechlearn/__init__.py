"""Forecast how much and where a brain tumour grows, and draw possible future scans.

    import mechlearn as ml
    patient = ml.Patient.from_csv("visits.csv", "P01")
    result = ml.forecast(patient, day=120)
    result.size.interval(0.95)
    result.growth_map.to_nifti("growth.nii.gz")
    result.report("forecast.html")

Names are imported at their first use.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechlearn import growth
    from mechlearn.api import Forecast, Patient, forecast, load_pretrained, score
    from mechlearn.records import ArrivalMap, GrowthMap, SizeForecast, SizeReading, SizeSeries

__all__ = [
    "ArrivalMap",
    "Forecast",
    "GrowthMap",
    "Patient",
    "SizeForecast",
    "SizeReading",
    "SizeSeries",
    "__version__",
    "forecast",
    "growth",
    "load_pretrained",
    "score",
]

__version__ = "0.2.0"

_HOMES = {
    **dict.fromkeys(("Forecast", "Patient", "forecast", "load_pretrained", "score"), "api"),
    **dict.fromkeys(
        ("ArrivalMap", "GrowthMap", "SizeForecast", "SizeReading", "SizeSeries"), "records"
    ),
}


def __getattr__(name: str) -> Any:
    if name == "growth":
        return importlib.import_module("mechlearn.growth")
    if name not in _HOMES:
        raise AttributeError(f"module 'mechlearn' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"mechlearn.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """The package module; `forecast` and `score` are functions of it and also submodules.

    The import of a submodule sets an attribute of the package. Here the functions are kept.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("forecast", "score") and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

"""How much a tumour grows: laws of its area over time, fits, bootstrap, forecasts.

The functions live in the module of their name: `growth.fit.fit`, `growth.bootstrap.bootstrap`,
`growth.size_forecast.forecast`. Beside them: `identify` (what the visits say of each parameter),
`choice` (which law one slice speaks for), `whatif` (another course of radiotherapy),
`through_lmfit` (one slice with lmfit's reports), `cohort_fit` (a population of your own),
`size_prior.forecast_size` (what a cohort of patients teaches, in one call).

`growth.compare` scores models beside each other on held-out visits. It is the function of
`evaluation.size_comparison`, reached by name when it is asked for: this package imports nothing
that stands above it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.law import Law, Parameter
from mechlearn.growth.laws import LAWS
from mechlearn.growth.problem import DegenerateSeriesError
from mechlearn.growth.treatment import radiotherapy

if TYPE_CHECKING:
    from mechlearn.growth.size_prior import forecast_size

    compare: Callable[..., Any]  # its own types stand above this package

__all__ = ["LAWS", "DegenerateSeriesError", "GrowthSpec", "Law", "Parameter", "compare",
           "forecast_size", "radiotherapy"]  # fmt: skip


_HOMES = {
    "compare": "mechlearn.evaluation.size_comparison",
    "forecast_size": "mechlearn.growth.size_prior",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

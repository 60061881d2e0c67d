"""How much a tumour grows: growth models, fits, population prior, ensemble, forecast.

The modules in the order of their imports; a module imports only from modules listed above it:

    derivatives, treatment        exact derivatives of a formula; courses of radiotherapy
    growth_model, models          the type of a growth model; the built-in ones
    quantiles, measurement_noise  weighted quantiles, mixtures; scatter of sizes about a model
    constraints, growth_spec      fixed and tied parameters; every setting
    fit_problems                  one series without dates; many side by side as arrays
    levenberg_marquardt, solvers  the optimiser; all fits at once, or one by one through lmfit
    fit, bootstrap                least squares and intervals, the paper's way
    profile_likelihood, identifiability    which parameters the visits fix
    population_prior, posterior_draws      the prior of one model from a cohort; posterior draws
    ensemble, ensemble_weights, ensemble_fit    several models, weighted, calibrated, from a cohort
    population_file               an ensemble from a file
    ensemble_forecast             growth=pooled, and one model under a population
    series_checks                 upper limits of days, doses and sizes
    size_history, cohort_ratio, gompertz_diffusion, residual_model    parts of a size prior
    size_prior, size_prior_choice, size_prior_fit    forecasts of a size learned from a cohort
    learned_forecast              growth=learned: the packaged priors, in one call
    size_forecast                 the forecast of a series by any of these
    counterfactual                the forecast under another course of radiotherapy

`growth.compare` compares the scores of models on held-out visits. It is the function of
`evaluation.size_comparison`, imported on first access, because this package imports nothing from
the layers above it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_model import GrowthModel, Parameter
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.treatment import radiotherapy

if TYPE_CHECKING:
    from mechlearn.growth.learned_forecast import forecast_size

    compare: Callable[..., Any]  # its types are in a layer above this one

__all__ = ["GROWTH_MODELS", "DegenerateSeriesError", "GrowthModel", "GrowthSpec", "Parameter",
           "compare", "forecast_size", "radiotherapy"]  # fmt: skip


_HOMES = {
    "compare": "mechlearn.evaluation.size_comparison",
    "forecast_size": "mechlearn.growth.learned_forecast",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""How much a tumour grows: laws of its area over time, fits, bootstrap, forecasts.

The functions live in the module of their name: `growth.fit.fit`, `growth.bootstrap.bootstrap`,
`growth.size_forecast.forecast`. Beside them: `identify` (what the visits say of each parameter),
`choice` (which law one slice speaks for), `whatif` (another course of radiotherapy),
`through_lmfit` (one slice with lmfit's reports), `cohort` (a population of your own).
"""

from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.law import Law, Parameter
from mechlearn.growth.laws import LAWS
from mechlearn.growth.problem import DegenerateSeriesError
from mechlearn.growth.treatment import radiotherapy

__all__ = ["LAWS", "DegenerateSeriesError", "GrowthSpec", "Law", "Parameter", "radiotherapy"]

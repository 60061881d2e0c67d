"""How much a tumour grows: laws of its area over time, fits, bootstrap, forecasts.

The functions live in the module of their name: `growth.fit.fit`, `growth.bootstrap.bootstrap`,
`growth.forecast.forecast`.
"""

from mechlearn.growth.laws import LAWS, Law, Parameter
from mechlearn.growth.problem import DegenerateSeriesError
from mechlearn.growth.spec import GrowthSpec
from mechlearn.growth.treatment import radiotherapy

__all__ = ["LAWS", "DegenerateSeriesError", "GrowthSpec", "Law", "Parameter", "radiotherapy"]

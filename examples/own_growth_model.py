"""Declare a growth model of your own and fit it to a series.

    python examples/own_growth_model.py
"""

import sys

from mechlearn.growth import GrowthModel, Parameter
from mechlearn.growth.fit import fit
from mechlearn.growth.models import INITIAL_AREA
from mechlearn.records import SizeReading, SizeSeries

power = GrowthModel(
    "power",
    (INITIAL_AREA, Parameter("growth_rate", "1/day", 1e-4, 1.0, 0.01, "log")),
    lambda days, p, courses: (1 + p["growth_rate"] * days) ** 2,
)


def main() -> None:
    sizes = ((0, 410.0), (40, 560.0), (80, 745.0), (120, 950.0))
    series = SizeSeries("P01/z070", "P01", tuple(SizeReading(d, s) for d, s in sizes))
    found = fit(series, power)
    sys.stdout.write(f"{found.parameters}\n")


if __name__ == "__main__":
    main()

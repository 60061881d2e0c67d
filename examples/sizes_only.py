"""Forecast a tumour's volume from a few readings; no image, no PyTorch.

    python examples/sizes_only.py
"""

import sys

from mechlearn.growth import forecast_size
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries


def main() -> None:
    readings = (SizeReading(0, 21_000.0), SizeReading(61, 24_500.0), SizeReading(118, 31_000.0))
    series = SizeSeries("P01", "P01", readings, (Radiotherapy(-90.0, -48.0, 60.0, 30),), unit="mm3")
    for day in (150, 180, 240):
        forecast = forecast_size(series, day)
        low, high = forecast.interval(0.95)
        sys.stdout.write(f"day {day}: {forecast.median / 1000:.1f} ml, 95% interval "
                         f"{low / 1000:.1f} to {high / 1000:.1f} ml\n")
    sys.stdout.write(f"prior: {forecast.population}\n")


if __name__ == "__main__":
    main()

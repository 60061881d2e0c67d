"""Forecast one patient from NIfTI files: how much, where, and one page.

    python examples/forecast_patient.py visits.csv P01 +60 out
"""

import sys
from pathlib import Path

import mechlearn as ml


def main(table: str, name: str, day: str, out: str) -> None:
    patient = ml.Patient.from_csv(table, name)
    result = ml.forecast(patient, day=day)
    low, high = result.size.interval(0.95)
    sys.stdout.write(f"{result.size.median / 1000:.1f} ml (95%: {low / 1000:.1f} to "
                     f"{high / 1000:.1f})\n")
    result.growth_map.to_nifti(Path(out) / "growth.nii.gz")
    result.to_nifti(out)
    result.report(Path(out) / "forecast.html")


if __name__ == "__main__":
    main(*sys.argv[1:])

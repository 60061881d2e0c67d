"""Real series: every one is fitted, or refused in words."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from mechlearn.growth.fit_problems import DegenerateSeriesError
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.size_forecast import forecast
from mechlearn.records import SizeReading, SizeSeries

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("MECHLEARN_REAL_DATA", ROOT.parent / "shared" / "data")) / "growth"
TABLES = {
    "laleh_lesions.csv": ("Pt_hashID", "T_days", "Lesion_vol", 1.0),
    "lumiere_enhancing_volume.csv": ("patient", "week", "enhancing_mm3", 7.0),
}


def read(name: str) -> list[SizeSeries]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no real data at {path}")
    key, day, size, unit = TABLES[name]
    series = defaultdict(list)
    with path.open() as lines:
        for row in csv.DictReader(lines):
            if row[day] not in ("", "NA") and row[size] not in ("", "NA"):
                series[row[key]].append((unit * float(row[day]), float(row[size])))
    return [
        SizeSeries(name, name, tuple(SizeReading(d, v) for d, v in sorted(visits)), unit="mm3")
        for name, visits in series.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("table", list(TABLES))
@pytest.mark.parametrize("law", ["ode", "exponential", "logistic", "gompertz"])
def test_every_real_series_is_fitted_or_refused_in_words(table, law):
    spec = GrowthSpec(law=law, n_bootstrap=2, n_starts=2, setup="all")
    fitted: list[str] = []
    refused: dict[str, str] = {}
    for timeline in read(table):
        try:
            result = forecast(timeline, float(timeline.days[-1]) + 60, spec=spec)
        except DegenerateSeriesError as error:
            refused[timeline.name] = str(error)
            continue
        assert np.isfinite(result.curves).all()
        fitted.append(timeline.name)
    assert all(name in text and "carry_forward" in text for name, text in refused.items())
    assert len(fitted) > len(refused)

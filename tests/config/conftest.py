"""Series of sizes as a user would write them, and a population of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mechlearn.data.size_table import write_series
from mechlearn.growth.ensemble_fit import fit_ensemble
from mechlearn.records import SizeReading, SizeSeries


@pytest.fixture(scope="session")
def cohort() -> list[SizeSeries]:
    """Six patients of two slices, five visits, growing at rates of their own."""
    rng = np.random.default_rng(0)
    out = []
    for patient in range(6):
        rate = rng.normal(0.008, 0.003)
        for z in (50, 55):
            days = np.cumsum(rng.integers(30, 60, 5)) - 30.0
            sizes = 300 * np.exp(rate * days) * (1 + 0.03 * rng.normal(size=5))
            visits = map(SizeReading, days.tolist(), sizes.tolist())
            out.append(SizeSeries(f"P{patient}/z{z}", f"P{patient}", tuple(visits)))
    return out


@pytest.fixture(scope="session")
def sizes(cohort: list[SizeSeries], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(cohort, tmp_path_factory.mktemp("sizes") / "sizes.csv")


@pytest.fixture(scope="session")
def population(cohort: list[SizeSeries], tmp_path_factory: pytest.TempPathFactory) -> Path:
    ensemble = fit_ensemble(cohort, ("exponential", "carry_forward"), n=20, n_folds=2, floor=20.0)
    return ensemble.save(tmp_path_factory.mktemp("population") / "population.json")

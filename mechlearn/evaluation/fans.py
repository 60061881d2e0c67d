"""Forecasts with their curves in a file, for figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mechlearn.files import write_arrays
from mechlearn.records import SizeForecast

__all__ = ["load_fans", "save_fans"]


def save_fans(path: str | Path, forecasts: Sequence[SizeForecast]) -> Path:
    """Write forecasts without their parameters as one compressed NumPy archive."""
    cards = [
        {"name": f.name, "day": f.day, "law": f.law, "n_failed": f.n_failed,
         "population": f.population, "weights": dict(f.weights)}
        for f in forecasts
    ]  # fmt: skip
    arrays = {"cards": np.array(json.dumps(cards))}
    for i, f in enumerate(forecasts):
        arrays |= {f"samples_{i}": f.samples, f"days_{i}": f.curve_days,
                   f"curves_{i}": f.curves.astype(np.float32)}  # fmt: skip
    return write_arrays(path, arrays)


def load_fans(path: str | Path) -> list[SizeForecast]:
    """The forecasts that `save_fans` wrote; empty where there is no file."""
    path = Path(path)
    if not path.is_file():
        return []
    with np.load(path) as held:
        return [
            SizeForecast(
                **card, samples=held[f"samples_{i}"], curve_days=held[f"days_{i}"],
                curves=held[f"curves_{i}"].astype(float),
            )
            for i, card in enumerate(json.loads(str(held["cards"])))
        ]

"""A synthetic patient: an ellipse of brain with a round, growing tumour."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mechlearn.records import (
    AxialSlice,
    Counterfactual,
    Generation,
    GrowthMap,
    LongitudinalSlice,
    Radiotherapy,
    SizeForecast,
)

SIZE = 48


def disc(row, column, radius):
    i, j = np.mgrid[:SIZE, :SIZE]
    return (i - row) ** 2 + (j - column) ** 2 <= radius**2


def make_slice(day, radius):
    brain, tumour = disc(24, 24, 20), disc(18, 30, radius)
    image = np.where(brain, -0.2, -1.0) + np.where(tumour & brain, 0.8, 0.0)
    planes = np.stack([image] * 4).astype(np.float32)
    labels = (2 * (tumour & brain)).astype(np.uint8)
    return AxialSlice("P01", f"d{day:03d}", float(day), 60, planes, labels, brain, (3.0, 3.0))


@pytest.fixture
def patient():
    visits = tuple(make_slice(day, r) for day, r in ((0, 3), (40, 4), (90, 5)))
    series = LongitudinalSlice(visits, (Radiotherapy(20.0, 62.0),))
    days = np.linspace(0, 150, 20)
    rates = np.random.default_rng(0).normal(0.008, 0.001, 30)
    curves = visits[0].tumour_area_mm2 * np.exp(rates[:, None] * days)
    forecast = SizeForecast(series.slice_id, 150.0, curves[:, -1], days, curves, "ode")
    reference = visits[-1]
    generations = [
        Generation(torch.from_numpy(make_slice(150, r).image), target, 0.05, 0.1, 200, 5e4, 5e4, 0)
        for r, target in zip((6, 7, 8), forecast.targets(reference.brain_area_mm2, nodes=3),
                             strict=True)
    ]
    change = [np.abs(g.image.numpy() - reference.image).sum(0) > 1 for g in generations]
    return SimpleNamespace(
        timeline=series.timeline, forecast=forecast, reference=reference, generations=generations,
        growth_map=GrowthMap(np.mean(change, axis=0), "dynamic", 3, (3.0, 3.0)),
        follow_up=make_slice(150, 7),
    )


@pytest.fixture
def untreated(patient):
    """The patient without radiotherapy: half as large again by the forecast day."""
    growth = np.linspace(1.0, 1.5, patient.forecast.curve_days.size)
    curves = patient.forecast.curves * growth
    other = replace(patient.forecast, samples=curves[:, -1], curves=curves)
    return Counterfactual("no radiotherapy", (), other, 0.25)

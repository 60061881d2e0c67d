"""AICc and Akaike weights of laws for one slice."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.fit import fit
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.model_choice import choose_law
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.records import Radiotherapy, SizeReading, SizeSeries

TRUTH = {
    "initial_area": 500.0, "growth_rate": 0.012, "survival_fraction": 0.08, "decay_rate": 0.04,
    "delay": 20.0, "slope": 0.15, "capacity": 4.0, "slowing_rate": 0.02,
}  # fmt: skip
DAYS = np.arange(0.0, 360, 24)
RT = (Radiotherapy(100.0),)


def series(name, noise=0.02, days=DAYS, rt=(), seed=0) -> SizeSeries:
    areas = GROWTH_MODELS[name].area(days, TRUTH, rt)
    areas = areas * np.exp(noise * np.random.default_rng(seed).normal(size=days.size))
    visits = tuple(SizeReading(float(d), float(a)) for d, a in zip(days, areas, strict=True))
    return SizeSeries("p1/z070", "p1", visits, rt)


@pytest.mark.parametrize("name", ["linear", "exponential", "logistic", "gompertz"])
def test_law_behind_many_precise_visits_comes_first(name):
    laws = ["carry_forward", "linear", "exponential", "logistic", "gompertz"]
    first = choose_law(series(name, noise=0.004), laws)[0]
    assert first.law == name
    assert first.weight > 0.5


def test_law_that_knows_radiotherapy_explains_its_effect():
    rows = choose_law(series("ode", rt=RT), ["exponential", "ode", "linear"])
    assert rows[0].law == "ode"
    assert rows[0].weight > 0.99


def test_constant_sizes_speak_for_carrying_forward():
    noisy = 500 * np.exp(0.05 * np.random.default_rng(1).normal(size=8))
    visits = tuple(SizeReading(30.0 * i, float(a)) for i, a in enumerate(noisy))
    rows = choose_law(SizeSeries("p1/z070", "p1", visits), ["exponential", "carry_forward"])
    assert rows[0].law == "carry_forward"


def test_weights_are_those_of_akaike():
    rows = choose_law(series("exponential", noise=0.2), ["linear", "exponential", "carry_forward"])
    best = rows[0].aicc
    odds = [row.weight / rows[0].weight for row in rows]
    assert odds == pytest.approx([np.exp(-(row.aicc - best) / 2) for row in rows])
    assert sum(row.weight for row in rows) == pytest.approx(1.0)


def test_aicc_is_that_of_the_fit():
    timeline = series("exponential", noise=0.1)
    (row,) = choose_law(timeline, ["exponential"])
    assert row.aicc == pytest.approx(fit(timeline, "exponential").aicc)


def test_constant_has_its_aicc_in_closed_form():
    timeline = series("exponential", noise=0.1)
    (row,) = choose_law(timeline, ["carry_forward"])
    n, sizes = DAYS.size, timeline.sizes / timeline.sizes[0]
    assert row.aicc == pytest.approx(n * np.log(sizes.var()) + 4 + 12 / (n - 3))


def test_law_with_too_many_parameters_is_listed_without_an_aicc():
    rows = choose_law(series("exponential", days=DAYS[:5]), ["gompertz", "exponential"])
    assert rows[0].law == "exponential"
    assert rows[0].weight == pytest.approx(1.0)
    assert rows[1] == ("gompertz", None, None, "5 visits; 3 parameter(s) need 6")


def test_radiotherapy_law_without_radiotherapy_does_not_share_the_weight():
    rows = choose_law(series("exponential"), ["ode", "exponential"])
    assert rows[0].weight == pytest.approx(1.0)
    assert "no radiotherapy" in rows[1].reason


def test_law_that_refuses_the_series_is_listed_with_its_reason():
    visits = tuple(SizeReading(30.0 * i, a) for i, a in enumerate([0.0, 5.0, 6.0, 6.0, 7.0]))
    rows = choose_law(SizeSeries("p1/z070", "p1", visits), ["exponential", "carry_forward"])
    assert [row.law for row in rows] == ["carry_forward", "exponential"]
    assert "p1/z070: area 0 at the first visit" in rows[1].reason


def test_series_without_any_aicc_has_no_weights():
    rows = choose_law(series("exponential", days=DAYS[:2]))
    assert all(row.aicc is None and row.weight is None and row.reason for row in rows)


def test_exact_series_prefer_the_simplest_of_the_laws_that_fit():
    rows = choose_law(series("exponential", noise=0.0), ["gompertz", "exponential", "logistic"])
    assert rows[0].law == "exponential"


def test_fixed_parameter_is_not_counted():
    timeline = series("gompertz", days=DAYS[:5])
    spec = GrowthSpec(law="gompertz", fixed={"slowing_rate": TRUTH["slowing_rate"]})
    rows = choose_law(timeline, ["gompertz", "linear"], spec)
    assert all(row.aicc is not None for row in rows)


def test_log_residuals_weigh_relative_errors():
    spec = GrowthSpec(residuals="log")
    rows = choose_law(series("exponential", noise=0.05), ["linear", "exponential"], spec)
    assert rows[0].law == "exponential"

"""Derivatives of the laws against differences of the laws."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.growth.derivatives import Dual, log_cosh
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.growth.treatment import Courses

WITH_DOSE = {f"{name}, dose": law.linear_quadratic() for name, law in GROWTH_MODELS.items()
             if law.linear_quadratic() is not law}  # fmt: skip
ALL = {**GROWTH_MODELS, **WITH_DOSE}
PAIRS = [(name, parameter) for name, law in ALL.items() for parameter in law.names]

EXPRESSIONS = {
    "add": lambda x: x + 3.0 + x,
    "subtract": lambda x: 5.0 - x,
    "multiply": lambda x: x * x * 3.0,
    "divide": lambda x: 2.0 / x + x / 3.0,
    "power": lambda x: x**3 + 2.0**x + x**x,
    "maximum": lambda x: np.maximum(x, 1.0) * np.maximum(2.0, x),
    "minimum": lambda x: np.minimum(x, 1.0) * np.minimum(2.0, x),
    "logaddexp": lambda x: np.logaddexp(x, 2 * x),
    "negative": lambda x: -x * 2,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt,
    "square": np.square, "tanh": np.tanh, "cosh": np.cosh, "sinh": np.sinh,
    "absolute": lambda x: np.abs(x - 1.1), "log_cosh": lambda x: log_cosh(x - 1.1),
}  # fmt: skip


@pytest.mark.parametrize("name", list(EXPRESSIONS))
def test_rule_is_the_limit_of_differences(name):
    x, h = np.array([0.3, 0.7, 1.6, 2.9]), 1e-6
    of = EXPRESSIONS[name]
    slope = np.broadcast_to(of(Dual.parameter("x", x)).slopes["x"], x.shape)
    assert slope == pytest.approx((of(x + h) - of(x - h)) / (2 * h), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize(("name", "parameter"), PAIRS)
def test_derivative_of_a_law_is_the_limit_of_differences(name, parameter):
    law, rng = ALL[name], np.random.default_rng(0)
    days = np.sort(rng.uniform(0, 400, (5, 6)), axis=1)
    starts = (rng.uniform(-30, 100, (5, 1)), rng.uniform(100, 1000, (5, 1)))
    courses = Courses(starts, (np.full((5, 1), 72.0), np.full((5, 1), 40.0)))
    at = {
        p.name: np.clip(p.start * np.exp(0.2 * rng.normal(size=(5, 1))), p.low, p.high)
        for p in law.parameters
    }
    h = 1e-6 * at[parameter]
    above = law.evaluate(days, at | {parameter: at[parameter] + h}, courses)
    below = law.evaluate(days, at | {parameter: at[parameter] - h}, courses)
    expected = (above - below) / (2 * h)
    found = law.evaluate(days, {k: Dual.parameter(k, v) for k, v in at.items()}, courses)
    slope = np.broadcast_to(found.slopes[parameter], days.shape)
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())


def test_values_carry_no_trace_of_the_derivatives():
    law, days = GROWTH_MODELS["gompertz_rt"], np.array([0.0, 50, 200])
    at = {p.name: np.array([p.start]) for p in law.parameters}
    courses = Courses((np.array(40.0),), (np.ones(()),))
    carried = law.evaluate(days, {k: Dual.parameter(k, v) for k, v in at.items()}, courses)
    assert np.array_equal(carried.value, law.evaluate(days, at, courses))


@pytest.mark.parametrize(
    ("of", "name"),
    [
        (np.arctan, "arctan"),
        (np.add.reduce, "add"),
        (lambda x: np.where(x.value > 0, x, 0.0), "where"),
        (lambda x: x > 1.0, "greater"),
        (lambda x: np.clip(x, 0.0, 1.0), "clip"),
    ],
)
def test_function_without_a_rule_is_refused_by_name(of, name):
    with pytest.raises(TypeError, match=rf"numpy.{name} has no derivative rule.*log_cosh"):
        of(Dual.parameter("x", np.ones(3)))


def test_log_cosh_does_not_overflow():
    assert log_cosh(np.array([1000.0]))[0] == pytest.approx(1000 - np.log(2))


def test_log_cosh_is_the_logarithm_of_cosh():
    x = np.linspace(-20, 20, 41)
    assert log_cosh(x) == pytest.approx(np.log(np.cosh(x)), rel=1e-12, abs=1e-15)

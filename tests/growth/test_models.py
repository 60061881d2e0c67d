"""The laws against integration, against each other, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import odeint

from mechlearn.growth.models import GROWTH_MODELS, get_growth_model
from mechlearn.growth.treatment import Courses
from mechlearn.records import Radiotherapy

TRUTH = {
    "initial_area": 900.0, "growth_rate": 0.012, "survival_fraction": 0.12,
    "decay_rate": 0.04, "delay": 20.0, "slope": 0.15, "capacity": 5.0, "slowing_rate": 0.005,
}
DAYS = np.array([0.0, 12, 35, 36, 60, 120, 240])
WITH_RT = [name for name, law in GROWTH_MODELS.items() if "survival_fraction" in law.names]
UNTREATED = {
    "ode": "exponential", "eq6": "exponential", "algorithm1": "exponential",
    "linear_rt": "linear", "logistic_rt": "logistic", "gompertz_rt": "gompertz",
}


def integrate(days, p, starts, survivals, rate):
    """Eqs. (3) to (5) by odeint as in the paper, one course after another.

    What lives grows by `rate` (area, day); what a course kills is a compartment that decays on the
    clock of that course.
    """
    tight = {"rtol": 1e-11, "atol": 1e-11}

    def slopes(a, t):
        dying = [
            -p["decay_rate"] * np.tanh(p["slope"] * (t - start - p["delay"])) * part
            for start, part in zip(starts, a[1:], strict=True)
        ]
        return [rate(a[0], t), *dying]

    state, clock = np.array([p["initial_area"], *(0.0 for _ in starts)]), 0.0
    out = {}
    for k, end in enumerate([*starts, np.inf]):
        inside = [d for d in days if clock <= d < end]
        stops = [clock, *inside, *([end] if np.isfinite(end) else [])]
        path = odeint(slopes, state, stops, **tight)
        out |= {d: path[i + 1].sum() for i, d in enumerate(inside)}
        if np.isfinite(end):
            living = path[-1, 0]
            state = path[-1].copy()
            state[0], state[k + 1] = survivals[k] * living, (1 - survivals[k]) * living
            clock = end
    return np.array([out[d] for d in days])


def exponential(p):
    return lambda a, t: p["growth_rate"] * a


@pytest.mark.parametrize("change", [{}, {"slope": 3.0}, {"decay_rate": 0.2}, {"delay": 0.5}])
def test_ode_law_is_the_integral_of_the_ode(change):
    p = TRUTH | change
    exact = GROWTH_MODELS["ode"].area(DAYS, p, (Radiotherapy(35.0),))
    assert exact == pytest.approx(integrate(DAYS, p, [35.0], [0.12], exponential(p)), rel=1e-6)


def test_a_second_course_is_the_integral_of_three_compartments():
    courses = (Radiotherapy(35.0), Radiotherapy(110.0))
    exact = GROWTH_MODELS["ode"].area(DAYS, TRUTH, courses)
    expected = integrate(DAYS, TRUTH, [35.0, 110.0], [0.12, 0.12], exponential(TRUTH))
    assert exact == pytest.approx(expected, rel=1e-6)


def test_logistic_growth_saturates_whatever_radiotherapy_leaves():
    # The untreated curve is scaled, not restarted: what lives is S times what would have lived.
    p, limit = TRUTH, TRUTH["capacity"] * TRUTH["initial_area"]

    def rate(a, t):
        lived = limit / (1 + (p["capacity"] - 1) * np.exp(-p["growth_rate"] * t))
        return p["growth_rate"] * a * (1 - lived / limit)

    exact = GROWTH_MODELS["logistic_rt"].area(DAYS, p, (Radiotherapy(35.0),))
    assert exact == pytest.approx(integrate(DAYS, p, [35.0], [0.12], rate), rel=1e-6)


def test_linear_quadratic_courses_survive_by_dose_and_fractions():
    courses = (Radiotherapy(35.0, dose_gy=60.0, fractions=30), Radiotherapy(110.0, None, 30.0, 5))
    alpha = 0.02
    p = TRUTH | {"radiosensitivity": alpha}
    survivals = [np.exp(-alpha * 60 * (1 + 2 / 10)), np.exp(-alpha * 30 * (1 + 6 / 10))]
    given = Courses.of(courses, alpha_beta_gy=10.0)
    exact = GROWTH_MODELS["ode"].linear_quadratic().area(DAYS, p, given)
    expected = integrate(DAYS, p, [35.0, 110.0], survivals, exponential(p))
    assert exact == pytest.approx(expected, rel=1e-6)


def dying_share(law: str, slope: float) -> float:
    p = {
        "initial_area": 1.0, "growth_rate": 0.03, "survival_fraction": 0.0, "decay_rate": 0.03,
        "delay": 20.0, "slope": slope,
    }
    return float(GROWTH_MODELS[law].area(np.array([67.0]), p, (Radiotherapy(0.0),))[0])


def test_dying_compartment_of_the_ode_at_day_67():
    assert dying_share("ode", 0.2) == pytest.approx(0.445, abs=5e-4)


def test_algorithm_1_does_not_solve_the_ode():
    assert dying_share("algorithm1", 0.2) == pytest.approx(0.134, abs=5e-4)


@pytest.mark.parametrize("name", list(GROWTH_MODELS))
def test_area_on_day_zero_is_the_initial_area(name):
    area = GROWTH_MODELS[name].area(np.zeros(1), TRUTH, (Radiotherapy(35.0),))
    assert area[0] == pytest.approx(900.0)


@pytest.mark.parametrize("name", WITH_RT)
def test_radiotherapy_before_the_first_visit_keeps_the_initial_area(name):
    area = GROWTH_MODELS[name].area(np.zeros(1), TRUTH, (Radiotherapy(-30.0),))
    assert area[0] == pytest.approx(900.0)


@pytest.mark.parametrize("name", WITH_RT)
def test_without_radiotherapy_a_law_is_its_untreated_curve(name):
    area = GROWTH_MODELS[name].area(DAYS, TRUTH)
    assert area == pytest.approx(GROWTH_MODELS[UNTREATED[name]].area(DAYS, TRUTH))


def test_without_radiotherapy_the_paper_grows_exponentially():
    assert GROWTH_MODELS["ode"].area(DAYS, TRUTH) == pytest.approx(900 * np.exp(0.012 * DAYS))


@pytest.mark.parametrize("name", WITH_RT)
def test_area_is_continuous_at_the_start_of_radiotherapy(name):
    days, course = np.array([35 - 1e-7, 35 + 1e-7]), Radiotherapy(35.0)
    before, after = GROWTH_MODELS[name].area(days, TRUTH, (course,))
    assert after == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("name", list(GROWTH_MODELS))
def test_parameter_arrays_give_one_curve_each(name):
    law = GROWTH_MODELS[name]
    rt = (Radiotherapy(35.0),)
    stacked = {k: np.array([v, 0.9 * v]) for k, v in TRUTH.items()}
    curves = law.area(DAYS, stacked, rt)
    second = law.area(DAYS, {k: 0.9 * v for k, v in TRUTH.items()}, rt)
    assert curves.shape == (2, DAYS.size)
    assert curves[1] == pytest.approx(second)


@pytest.mark.parametrize("name", list(GROWTH_MODELS))
@pytest.mark.parametrize("end", ["low", "high"])
def test_area_stays_finite_on_the_bounds(name, end):
    law = GROWTH_MODELS[name]
    corner = {p.name: getattr(p, end) for p in law.parameters}
    assert np.isfinite(law.area(np.array([0.0, 100, 5000]), corner, (Radiotherapy(35.0),))).all()


def test_logistic_saturates_at_its_capacity():
    assert GROWTH_MODELS["logistic"].area(np.array([1e4]), TRUTH)[0] == pytest.approx(4500.0)


def test_gompertz_saturates_at_rate_over_slowing():
    expected = 900 * np.exp(0.012 / 0.005)
    assert GROWTH_MODELS["gompertz"].area(np.array([1e5]), TRUTH)[0] == pytest.approx(expected)


def test_linear_area_stops_at_zero():
    shrinking = {"initial_area": 900.0, "growth_rate": -0.01}
    assert GROWTH_MODELS["linear"].area(np.array([200.0]), shrinking)[0] == 0.0


def test_paper_bounds_of_the_ode():
    bounds = {p.name: (p.low, p.high) for p in GROWTH_MODELS["ode"].parameters}
    assert bounds == {
        "initial_area": (0.9, 1.1), "growth_rate": (0.001, 2.0), "survival_fraction": (0.001, 0.2),
        "decay_rate": (0.001, 100.0), "delay": (0.001, 300.0), "slope": (0.001, 600.0),
    }


def test_other_bounds_move_the_start_inside():
    law = GROWTH_MODELS["ode"].with_bounds({"delay": (50.0, 200.0)})
    (delay,) = [p for p in law.parameters if p.name == "delay"]
    assert delay.start == pytest.approx(100.0)


def test_unknown_bound_is_refused_by_name():
    with pytest.raises(ValueError, match=r"growth.bounds='capacity'"):
        GROWTH_MODELS["ode"].with_bounds({"capacity": (1.0, 2.0)})


def test_crossed_bounds_are_refused():
    with pytest.raises(ValueError, match="low below high"):
        GROWTH_MODELS["ode"].with_bounds({"delay": (50.0, 20.0)})


def test_unknown_law_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"growth.law='oed'.*ode"):
        get_growth_model("oed")


def test_logistic_saturates_however_fast_it_grows():
    fast = TRUTH | {"growth_rate": 2.0}
    area = GROWTH_MODELS["logistic"].area(np.array([500.0]), fast)
    assert area[0] == pytest.approx(900 * fast["capacity"])

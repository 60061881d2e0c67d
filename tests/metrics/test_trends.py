from __future__ import annotations

import numpy as np
import pytest

from mechlearn.metrics.trends import pareto_front, rank_trend, slope, two_factors

A, B = np.array([1.0, 2.0, 3.0, 5.0]), np.array([4.0, 5.0, 5.7])


def plane(s_a, s_b, d):
    u, v = A - A.mean(), B - B.mean()
    return 7.0 + s_a * u[:, None] + s_b * v + d * u[:, None] * v


def test_effects_of_a_known_surface_are_found_again():
    found = two_factors(plane(0.3, -0.2, 0.05), A, B)
    assert (found.slope_a, found.slope_b, found.interaction) == pytest.approx((0.3, -0.2, 0.05))


def test_effects_agree_with_least_squares():
    y = np.random.default_rng(0).normal(size=(4, 3))
    u, v = np.meshgrid(A - A.mean(), B - B.mean(), indexing="ij")
    design = np.stack([np.ones(12), u.ravel(), v.ravel(), (u * v).ravel()], axis=1)
    wanted = np.linalg.lstsq(design, y.ravel(), rcond=None)[0]
    found = two_factors(y, A, B)
    assert [found.slope_a, found.slope_b, found.interaction] == pytest.approx(wanted[1:].tolist())


def test_rank_correlation_sees_order_alone():
    found = two_factors(np.exp(plane(0.3, -0.2, 0.0)), A, B)
    assert (found.rank_a, found.rank_b) == pytest.approx((1.0, -1.0))


def test_a_number_that_does_not_change_has_no_trend():
    found = two_factors(np.full((4, 3), 0.5), A, B)
    assert (found.slope_a, found.rank_a, found.rank_b, found.together) == (0.0, 0.0, 0.0, 0.0)
    assert rank_trend(np.ones(3), B) == 0.0


def test_together_compares_the_corner_with_the_larger_single_effect():
    y = np.array([[0.0, 2.0], [3.0, 4.5]])
    assert two_factors(y, A[:2], B[:2]).together == pytest.approx(1.5)


def test_slope_is_per_unit_of_the_level():
    assert slope(2.0 - 4.0 * A, A) == pytest.approx(-4.0)


def test_an_empty_cell_is_refused():
    with pytest.raises(ValueError, match="1 undefined"):
        two_factors(np.array([[0.0, np.nan], [1.0, 2.0]]), A[:2], B[:2])


def test_one_level_shows_no_trend():
    with pytest.raises(ValueError, match="at least two"):
        two_factors(np.ones((1, 3)), A[:1], B)


def test_front_holds_what_nothing_beats():
    cost = np.array([0.1, 0.2, 0.2, 0.3, np.nan, 0.1])
    gain = np.array([0.8, 0.9, 0.85, 0.99, 1.0, 0.8])
    assert pareto_front(cost, gain).tolist() == [True, True, False, True, False, True]

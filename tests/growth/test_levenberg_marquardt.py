"""Minima that are known from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from mechlearn.growth.levenberg_marquardt import minimise, solve_spd

FREE = np.inf


def linear(matrix, right):
    """Residuals matrix @ x - right of N problems."""

    def model(x, rows):
        return (matrix[rows] @ x[..., None])[..., 0] - right[rows], matrix[rows].copy()

    return model


def rosenbrock(x, rows):
    r = np.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]], axis=1)
    jac = np.zeros((len(x), 2, 2))
    jac[:, 0, 0], jac[:, 0, 1], jac[:, 1, 0] = -20 * x[:, 0], 10, -1
    return r, jac


@pytest.fixture
def many():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 9, 4)), rng.normal(size=(7, 9)), rng.normal(size=(7, 4))


def test_linear_problem_has_the_solution_of_lstsq(many):
    matrix, right, start = many
    found = minimise(linear(matrix, right), start, np.full((7, 4), -FREE), np.full((7, 4), FREE))
    expected = [np.linalg.lstsq(a, b)[0] for a, b in zip(matrix, right, strict=True)]
    assert found.converged.all()
    assert found.x == pytest.approx(np.array(expected), abs=1e-4)
    best = [np.sum((a @ x - b) ** 2) for a, b, x in zip(matrix, right, expected, strict=True)]
    assert found.cost == pytest.approx(best, rel=1e-7)


def test_solution_on_active_bounds_is_that_of_lsq_linear(many):
    matrix, right, start = many
    low, high = np.full((7, 4), -0.1), np.full((7, 4), 0.15)
    found = minimise(linear(matrix, right), start, low, high)
    expected = [lsq_linear(a, b, (-0.1, 0.15)).x for a, b in zip(matrix, right, strict=True)]
    assert (np.isin(found.x, [-0.1, 0.15])).any()
    assert found.x == pytest.approx(np.array(expected), abs=1e-4)


def test_curved_valley_is_followed_to_its_end():
    start = np.array([[-1.2, 1.0], [3.0, -4.0]])
    found = minimise(rosenbrock, start, np.full((2, 2), -FREE), np.full((2, 2), FREE))
    assert found.x == pytest.approx(np.ones((2, 2)), abs=1e-6)


def test_result_does_not_depend_on_the_other_problems(many):
    matrix, right, start = many
    low, high = np.full((7, 4), -0.1), np.full((7, 4), 0.15)
    together = minimise(linear(matrix, right), start, low, high)
    for i in range(7):
        one = slice(i, i + 1)
        alone = minimise(linear(matrix[one], right[one]), start[one], low[one], high[one])
        assert np.array_equal(alone.x[0], together.x[i])
        assert alone.cost[0] == together.cost[i]


def test_parameter_without_room_stays():
    low, high = np.array([[-FREE, 0.5]]), np.array([[FREE, 0.5]])
    found = minimise(rosenbrock, np.array([[-1.2, 0.5]]), low, high)
    assert found.x[0, 1] == 0.5
    slope = 2 * (found.x[0, 0] - 1) - 400 * found.x[0, 0] * (0.5 - found.x[0, 0] ** 2)
    assert slope == pytest.approx(0.0, abs=1e-3)


def test_start_outside_the_bounds_moves_onto_them():
    one = np.ones((1, 2))
    found = minimise(rosenbrock, 50 * one, -one, 0.5 * one)
    assert found.converged.all()
    assert (np.abs(found.x) <= 1).all()


def test_start_that_is_not_finite_is_flagged_and_harms_no_other():
    start = np.array([[np.nan, 1.0], [-1.2, 1.0], [np.inf, 1.0]])
    found = minimise(rosenbrock, start, np.full((3, 2), -FREE), np.full((3, 2), FREE))
    assert found.converged.tolist() == [False, True, False]
    assert found.cost[[0, 2]].tolist() == [np.inf, np.inf]
    assert found.x[1] == pytest.approx([1.0, 1.0], abs=1e-6)


def test_unfinished_problem_has_not_converged():
    found = minimise(rosenbrock, np.array([[-1.2, 1.0]]), np.full((1, 2), -FREE),
                     np.full((1, 2), FREE), max_iterations=3)  # fmt: skip
    assert not found.converged[0]
    assert found.iterations[0] == 3
    assert found.cost[0] < np.sum(rosenbrock(np.array([[-1.2, 1.0]]), None)[0] ** 2)


def test_solve_spd_is_the_solution_of_numpy(many):
    matrix, _, right = many
    square = matrix.transpose(0, 2, 1) @ matrix
    found = solve_spd(square, right, np.ones((7, 4), bool))
    assert found == pytest.approx(np.linalg.solve(square, right[..., None])[..., 0])


def test_solve_spd_leaves_fixed_unknowns_at_zero(many):
    matrix, _, right = many
    square = matrix.transpose(0, 2, 1) @ matrix
    free = np.array([True, False, True, False])
    found = solve_spd(square, right, np.tile(free, (7, 1)))
    inner = np.linalg.solve(square[:, free][:, :, free], right[:, free, None])[..., 0]
    assert found[:, free] == pytest.approx(inner)
    assert (found[:, ~free] == 0).all()


@pytest.mark.parametrize("steps", [50, 60])
def test_a_problem_that_still_falls_at_the_last_step_has_not_converged(steps):
    def falling(x, rows):
        r = np.exp(-x)
        return r, -r[..., None]

    wide = np.full((1, 1), 1e6)
    found = minimise(falling, np.zeros((1, 1)), -wide, wide, max_iterations=steps)
    assert not found.converged.any()

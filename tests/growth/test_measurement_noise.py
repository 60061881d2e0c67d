"""The Markov forms of the error covariance equal the dense ones."""

import numpy as np
import pytest

from mechlearn.growth.measurement_noise import Discrepancy, ScatterBasis, Whitening
from mechlearn.growth.population_prior import _minus_log_likelihood

DAYS = np.array([[0.0, 31.0, 31.0, 90.0], [0.0, 12.0, 40.0, 40.0]])  # one day twice; one padded
SEEN = np.array([[True] * 4, [True, True, True, False]])
SCATTER = Discrepancy(0.1, 0.03)


def test_whitening_is_the_inverse_cholesky_factor() -> None:
    dense = np.linalg.inv(np.linalg.cholesky(SCATTER.covariance(DAYS, SEEN)))
    found = SCATTER.whitening(DAYS, SEEN).apply(np.broadcast_to(np.eye(4), (2, 4, 4)))
    np.testing.assert_allclose(found, dense, atol=1e-12)


def test_whitening_takes_series_by_row() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 2))
    rows = np.array([1, 0, 1])
    dense = np.linalg.inv(np.linalg.cholesky(SCATTER.covariance(DAYS, SEEN)))
    found = SCATTER.whitening(DAYS, SEEN).apply(values, rows)
    np.testing.assert_allclose(found, dense[rows] @ values, atol=1e-12)


def test_independent_errors_are_divided_by_their_deviation() -> None:
    found = Whitening.diagonal(np.array([[2.0, 4.0]])).apply(np.ones((1, 2, 1)))
    np.testing.assert_allclose(found[0, :, 0], [0.5, 0.25])


def test_likelihood_by_woodbury_is_the_dense_one() -> None:
    rng = np.random.default_rng(1)
    factor = rng.normal(size=(2, 4, 3)) * SEEN[..., None]
    error = rng.normal(size=(2, 4)) * SEEN
    whole = factor @ factor.transpose(0, 2, 1) + SCATTER.covariance(DAYS, SEEN)
    dense = sum(
        0.5 * e @ np.linalg.solve(m, e) + 0.5 * np.linalg.slogdet(m)[1]
        for m, e in zip(whole, error, strict=True)
    )
    basis = ScatterBasis.of(DAYS, SEEN)
    found = _minus_log_likelihood(
        basis, SCATTER.sigma, SCATTER.tau, basis.project(factor),
        basis.project(error[..., None])[..., 0],
    )  # fmt: skip
    assert found == pytest.approx(dense, rel=1e-10)

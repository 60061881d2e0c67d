"""Population prior of one growth model: empirical Bayes estimation from a cohort.

The parameters of the slices have a normal distribution in fit coordinates (log-normal for rates and
times). Its mean and covariance and the scatter around the growth model maximise the likelihood of
the cohort's measurements. The estimation alternates two steps (Lindstrom and Bates 1990): the MAP
fit of every slice under the current prior, and expectation-maximisation in the model linearised at
these fits.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from mechlearn.growth.fit_problems import Batch, FitProblem, Objective, Tasks
from mechlearn.growth.growth_model import GrowthModel, Parameter
from mechlearn.growth.measurement_noise import Discrepancy, ScatterBasis
from mechlearn.growth.models import get_growth_model
from mechlearn.growth.solvers import solve_batched
from mechlearn.records import SizeSeries

__all__ = ["PopulationPrior", "fit_population_prior", "population_model"]

logger = logging.getLogger(__name__)

# With a prior the bounds only keep parameters finite. Those of the paper, made for plain least
# squares, are too narrow: for example, slices of real tumours shrink less than fivefold.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "growth_rate": (1e-5, 1.0), "survival_fraction": (1e-3, 0.999), "decay_rate": (1e-4, 1.0),
    "delay": (0.1, 200.0), "slope": (1e-3, 10.0), "slowing_rate": (1e-5, 1.0),
    "capacity": (1.001, 1000.0), "radiosensitivity": (1e-5, 0.3),
}  # fmt: skip
_FIRST = Parameter("initial_area", "first area", 1e-3, 1e3, 1.0, "log", width=0.2)
_SIGMA_FLOOR = 0.03  # repeated segmentations by one reader differ by more
# Weak prior of log sigma and log tau, against degenerate estimates from a dozen series.
_USUAL, _USUAL_WIDTH = np.log([0.15, 0.03]), 1.0
_ROUNDS, _EM_STEPS, _TOLERANCE = 12, 4, 1e-6
_CONVERGED = 1e-3  # gain of the log likelihood a slice: a round that gains less is the last
_MAP_STEPS = 40  # of a fit in one round: the next round continues from its result
_PRIOR_SLICES = 5.0  # weight of the growth model's typical widths in the covariance, in slices
_PRIOR_SHARE = 0.2  # of those widths


def population_model(law: GrowthModel | str) -> GrowthModel:
    """The growth model with the bounds of a population prior: wide bounds for the parameters of
    `_BOUNDS` on a log scale, and the initial area on a log scale. Other bounds do not change.
    """
    law = get_growth_model(law)
    parameters = []
    for p in law.parameters:
        if p.name == "initial_area":
            p = _FIRST
        elif p.name in _BOUNDS and p.scale == "log":
            low, high = _BOUNDS[p.name]
            p = dataclasses.replace(p, low=low, high=high)
        parameters.append(p)
    return dataclasses.replace(law, parameters=tuple(parameters), estimate=None,
                               needs_tumour=False, min_visits=1)  # fmt: skip


@dataclass(frozen=True)
class PopulationPrior:
    """Prior of a growth model's parameters, and the scatter around the model.

    Attributes:
        law: the growth model, as `population_model` returns it.
        mean (P,), covariance (P, P): of the parameters in fit coordinates; `initial_area` is a
            multiple of the first measurement.
        discrepancy: measurement noise and model error.
        floor: in the unit of the cohort's sizes, added before a logarithm is taken.
    """

    law: GrowthModel
    mean: np.ndarray
    covariance: np.ndarray
    discrepancy: Discrepancy
    floor: float

    @property
    def pull(self) -> np.ndarray:
        """U (P, P) with U'U the precision matrix."""
        return np.linalg.cholesky(np.linalg.inv(self.covariance)).T

    def objective(self, problems: Sequence[FitProblem], days: np.ndarray, seen: np.ndarray
                  ) -> Objective:  # fmt: skip
        """Prior and whitened log residuals of these series."""
        floor = np.array([self.floor / p.scale_mm2 for p in problems])
        whiten = self.discrepancy.whitening(days, seen)
        return Objective(self.mean, self.pull, True, floor, whiten, near_first=False)

    def batch(self, problems: Sequence[FitProblem]) -> Batch:
        """Problems of this growth model with the objective of the prior."""
        plain = Batch.of(problems, Objective(self.mean, np.eye(self.mean.size)))
        objective = self.objective(problems, plain.days, plain.seen)
        return dataclasses.replace(plain, objective=objective)

    def typical(self) -> dict[str, tuple[float, float, float]]:
        """name -> (median, 2.5th, 97.5th percentile) over the cohort, natural units."""
        out = {}
        spread = 1.96 * np.sqrt(np.diag(self.covariance))
        for p, middle, wide in zip(self.law.parameters, self.mean, spread, strict=True):
            ends = np.array([middle, middle - wide, middle + wide])
            natural = np.clip(np.exp(ends) if p.scale == "log" else ends, p.low, p.high)
            out[p.name] = (float(natural[0]), float(natural[1]), float(natural[2]))
        return out


def fit_population_prior(
    timelines: Sequence[SizeSeries], law: GrowthModel | str, *, floor: float,
    alpha_beta_gy: float | None = None, seed: int = 0,
) -> PopulationPrior:
    """Estimate the population prior of a growth model from a cohort.

    Args:
        timelines: slices with the visits that the fit may use.
        law: the growth model or its name.
        floor: size added before a logarithm, in the unit of the timelines; see `size_floor`.
        alpha_beta_gy: where the growth model depends on the dose.
        seed: of the starting points.

    Raises:
        ValueError: fewer than two slices.
    """
    if len(timelines) < 2:
        raise ValueError(
            f"population of {get_growth_model(law).name}: {len(timelines)} slice(s); at least 2 "
            "are needed. Give a larger cohort or growth.population=null."
        )
    law = population_model(law)
    problems = [
        FitProblem.of(t, law, hold=False, alpha_beta_gy=alpha_beta_gy) for t in timelines
    ]
    plain = Batch.of(problems, Objective(np.zeros(0), np.zeros((0, 0))))
    widths = np.array([p.width for p in law.parameters])
    mean = plain.coordinates(np.array([p.start for p in law.parameters]))
    now = PopulationPrior(law, mean, np.diag(widths**2), Discrepancy(0.1, 0.02), floor)
    x: np.ndarray | None = None
    loss = np.inf
    basis = ScatterBasis.of(plain.days, plain.seen)
    for number in range(_ROUNDS):
        batch = dataclasses.replace(
            plain, objective=now.objective(problems, plain.days, plain.seen)
        )
        x = _map_fits(now, batch, x, np.random.default_rng([seed, number]))
        before = loss
        now, loss = _update(now, batch, basis, x, widths)
        logger.debug("population of %s, round %d: -log likelihood %.4f a slice, %s",
                     law.name, number + 1, loss / len(problems), now.discrepancy)  # fmt: skip
        if abs(loss - before) < _CONVERGED * len(problems):
            break
    return now


def _map_fits(
    now: PopulationPrior, batch: Batch, x: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """MAP coordinates (S, P); the starts are those of the last round, the mean and a draw."""
    size = (len(batch.problems), now.mean.size)
    draws = now.mean + rng.normal(size=size) @ np.linalg.cholesky(now.covariance).T
    centres = np.broadcast_to(now.mean, size)
    starts = np.stack([centres, draws, *([x] if x is not None else [])], axis=1)
    tasks = Tasks(np.arange(size[0]), batch.areas, centres, starts)
    return solve_batched(batch, tasks, _TOLERANCE, max_iterations=_MAP_STEPS).x


def _update(
    now: PopulationPrior, batch: Batch, basis: ScatterBasis, x: np.ndarray, widths: np.ndarray
) -> tuple[PopulationPrior, float]:
    """Mean, covariance and scatter in the model linearised at x: (population, -log likelihood)."""
    slopes, offset = _linearised(batch, x)
    slopes, offset = basis.project(slopes), basis.project(offset[..., None])[..., 0]
    mean, covariance = now.mean, now.covariance
    variances = basis.variances(now.discrepancy.sigma, now.discrepancy.tau)
    for _ in range(_EM_STEPS):
        posterior, spread = _posterior(mean, covariance, slopes, offset, variances)
        mean = posterior.mean(axis=0)
        away = posterior - mean
        total = away.T @ away + spread.sum(axis=0)
        total += _PRIOR_SLICES * np.diag((_PRIOR_SHARE * widths) ** 2)
        covariance = total / (len(x) + _PRIOR_SLICES)
    error = offset - (slopes @ mean)
    factor = slopes @ np.linalg.cholesky(covariance)

    def loss(logs: np.ndarray) -> float:
        sigma, tau = max(float(np.exp(logs[0])), _SIGMA_FLOOR), float(np.exp(logs[1]))
        deviation = _minus_log_likelihood(basis, sigma, tau, factor, error)
        return deviation + 0.5 * float(np.sum(((logs - _USUAL) / _USUAL_WIDTH) ** 2))

    start = np.log([now.discrepancy.sigma, now.discrepancy.tau])
    found = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 60, "xatol": 0.01})
    sigma, tau = np.exp(np.clip(found.x, np.log([_SIGMA_FLOOR, 1e-5]), np.log([5.0, 5.0])))
    scatter_now = Discrepancy(float(sigma), float(tau))
    return PopulationPrior(now.law, mean, covariance, scatter_now, now.floor), float(found.fun)


def _minus_log_likelihood(
    basis: ScatterBasis, sigma: float, tau: float, factor: np.ndarray, error: np.ndarray
) -> float:
    """-log N(error; 0, F F' + D) without its constant: F (S, V, P), error (S, V), D diagonal.

    With Woodbury's identity only (P, P) matrices are factorised, for any number of visits.
    """
    variances = basis.variances(sigma, tau)
    scaled = factor / variances[..., None]
    inner = np.eye(factor.shape[2]) + factor.transpose(0, 2, 1) @ scaled
    lower = np.linalg.cholesky(inner)
    right = (scaled.transpose(0, 2, 1) @ error[..., None])[..., 0]
    solved = np.linalg.solve(lower, right[..., None])[..., 0]
    square = np.sum(error**2 / variances) - np.sum(solved**2)
    padded = float(np.sum(basis.unseen)) * np.log(sigma**2)
    logs = np.sum(np.log(variances)) - padded
    return float(0.5 * (square + logs) + np.log(np.einsum("spp->sp", lower)).sum())


def _linearised(batch: Batch, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes J (S, V, P) and J x - residual (S, V) of the log sizes, not whitened."""
    bare = dataclasses.replace(batch.objective, whiten=None)
    tasks = Tasks(np.arange(len(x)), batch.areas, x, x[:, None])
    plain = dataclasses.replace(batch, objective=bare)
    residual, jac = plain.model(tasks, x, tasks.rows)
    visits = batch.days.shape[1]
    slopes = jac[:, :visits]
    return slopes, (slopes @ x[..., None])[..., 0] - residual[:, :visits]


def _posterior(
    mean: np.ndarray, covariance: np.ndarray, slopes: np.ndarray, offset: np.ndarray,
    variances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (S, P) and covariance (S, P, P) of the parameters in the linearised model."""
    precision = np.linalg.inv(covariance)
    weighted = (slopes / variances[..., None]).transpose(0, 2, 1)
    spread = np.linalg.inv(precision + weighted @ slopes)
    right = precision @ mean + (weighted @ offset[..., None])[..., 0]
    return (spread @ right[..., None])[..., 0], spread

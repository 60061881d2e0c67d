"""Choice among growth models for one slice without a population prior: AICc.

    AICc = n log(mean squared residual) + 2 k + 2 k (k + 1) / (n - k - 1)

with n visits and k parameters, the noise variance among them; Akaike weights are
exp(-AICc / 2), normalised (Burnham and Anderson 2002). A law with k parameters needs k + 2 visits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mechlearn.growth.fit import LOG_FLOOR, fit
from mechlearn.growth.growth_model import GrowthModel
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.models import get_growth_model
from mechlearn.records import SizeSeries

__all__ = ["CHOICE_LAWS", "LawChoice", "choose_law"]

CHOICE_LAWS = ("carry_forward", "linear", "exponential", "gompertz", "logistic", "ode")
_EXACT = 1e-4  # first areas: smaller residuals are rounding, not evidence


class LawChoice(NamedTuple):
    """A law, its AICc and Akaike weight; both None where AICc is undefined, with the reason."""

    law: str
    aicc: float | None
    weight: float | None
    reason: str = ""


def choose_law(
    timeline: SizeSeries, laws: Sequence[GrowthModel | str] = CHOICE_LAWS,
    spec: GrowthSpec | None = None,
) -> list[LawChoice]:
    """Fit several laws to all visits of a slice and weigh them, the best first.

    AICc looks at the visits, not ahead: two laws that agree on them and part afterwards weigh the
    same. carry_forward counts as a constant size with noise, at its own best value.

    Args:
        timeline: the visits.
        laws: names or laws.
        spec: how they are fitted; bounds, fixed and tied parameters count for the laws that have
            them. GrowthSpec() if None.

    Returns:
        One row a law; those without an AICc come last: too few visits, a series that the law
        refuses, or a law of radiotherapy for a slice that had none.
    """
    spec = spec or GrowthSpec()
    rows = [_judged(timeline, get_growth_model(law), spec) for law in laws]
    known = np.array([row.aicc for row in rows if row.aicc is not None])
    if known.size:
        share = np.exp(-(known - known.min()) / 2).sum()
        rows = [
            row if row.aicc is None
            else row._replace(weight=math.exp(-(row.aicc - known.min()) / 2) / float(share))
            for row in rows
        ]  # fmt: skip
    return sorted(rows, key=lambda row: math.inf if row.aicc is None else row.aicc)


def _judged(timeline: SizeSeries, law: GrowthModel, spec: GrowthSpec) -> LawChoice:
    if not timeline.courses and law.knows_radiotherapy:
        reason = "no radiotherapy: it would be its untreated curve once more"
        return LawChoice(law.name, None, None, reason)
    areas = timeline.sizes / (timeline.sizes[0] or 1.0)
    try:
        fitted, count = _fitted(timeline, law, spec)
    except (ValueError, RuntimeError) as error:
        return LawChoice(law.name, None, None, str(error))
    residuals = fitted - areas
    if spec.residuals == "log":
        residuals = np.log(fitted + LOG_FLOOR) - np.log(areas + LOG_FLOOR)
        if law.estimate is not None:
            residuals = residuals - residuals.mean()
    n, k = areas.size, count + 1  # the noise variance counts
    if n <= k + 1:
        return LawChoice(law.name, None, None, f"{n} visits; {count} parameter(s) need {k + 2}")
    square = max(float(np.mean(residuals**2)), _EXACT**2)
    return LawChoice(law.name, n * math.log(square) + 2 * k + 2 * k * (k + 1) / (n - k - 1), None)


def _fitted(timeline: SizeSeries, law: GrowthModel, spec: GrowthSpec) -> tuple[np.ndarray, int]:
    """Sizes at the visits over the first one, and how many parameters were fitted."""
    scale = timeline.sizes[0] or 1.0
    if law.estimate is not None:
        return np.full(len(timeline.visits), timeline.sizes.mean() / scale), 1
    if spec.survival == "linear_quadratic":
        law = law.linear_quadratic()
    bounds = {k: (v[0], v[1]) for k, v in spec.bounds.items() if k in law.names}
    result = fit(
        timeline, law.with_bounds(bounds), n_starts=spec.n_starts, ridge=spec.ridge,
        residuals=spec.residuals, alpha_beta_gy=spec.dose_model, engine=spec.engine,
        fixed={k: v for k, v in spec.fixed.items() if k in law.names},
        tied={k: v for k, v in spec.tied.items() if k in law.names},
        rng=np.random.default_rng(spec.seed),
    )  # fmt: skip
    return result.area(timeline.days) / scale, result.n_fitted

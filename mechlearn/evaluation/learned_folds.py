"""The size priors of an evaluation: packaged, from a file, or cross-fitted on the cohort."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mechlearn.evaluation.population_fit import CrossFit
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.growth.residual_model import patient_folds
from mechlearn.growth.size_prior import SizePrior
from mechlearn.growth.size_prior_fit import LearnedSpec, fit_size_prior
from mechlearn.records import SizeSeries

__all__ = ["learned_groups"]


def learned_groups(
    series: Sequence[SizeSeries], source: str | None, cross_fit: CrossFit | None
) -> list[tuple[SizePrior, list[int]]]:
    """(prior, indices of the series that it forecasts).

    With a cross-fit, one prior a fold, fitted to the patients of the other folds. Without one, the
    prior that `source` names, for the compartment of every series.
    """
    if cross_fit is None:
        found: dict[str, list[int]] = {}
        for i, one in enumerate(series):
            found.setdefault(one.compartment, []).append(i)
        return [(load_size_prior(source, name), group) for name, group in found.items()]
    patients = np.array([s.patient for s in series])
    fold = patient_folds(patients, cross_fit.n_folds, cross_fit.seed)
    spec = LearnedSpec(seed=cross_fit.seed)
    return [
        (fit_size_prior([s for s, f in zip(series, fold, strict=True) if f != k], spec,
                        about={"cohort": "the other patients of this file"}),
         np.flatnonzero(fold == k).tolist())
        for k in range(int(fold.max()) + 1)
    ]  # fmt: skip

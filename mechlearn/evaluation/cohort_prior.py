"""Fit a population prior or a size prior to a cohort: a file for `growth.population`."""

from __future__ import annotations

import logging

import mechlearn
from mechlearn.evaluation.growth_fits import Cohort, cases
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.population_fit import FILE, run_population
from mechlearn.evaluation.runner import SIZES, Evaluation, Scored
from mechlearn.growth.growth_spec import LEARNED
from mechlearn.growth.size_prior_fit import LearnedSpec, fit_size_prior

__all__ = ["EVALUATION"]

log = logging.getLogger(__name__)


def score(job: Job, case: Cohort) -> Scored:
    """Fit a population prior, or with growth=learned a size prior, and write its file."""
    about = {"cohort": case.name, "version": mechlearn.__version__, "command": job.command}
    if job.growth.law == LEARNED:
        return _size_prior(job, case, about)
    task = job.task
    row = run_population(
        case.series, out_dir=job.out_dir, laws=task.laws, unit=case.unit, floor=task.floor,
        n_folds=task.folds, seed=job.seed, alpha_beta_gy=job.growth.dose_model, about=about,
    )  # fmt: skip
    return Scored(extra=row)


def _size_prior(job: Job, case: Cohort, about: dict[str, str]) -> Scored:
    prior = fit_size_prior(case.series, LearnedSpec(seed=job.seed), about=about)
    path = prior.save(job.out_dir / FILE)
    log.info("%s: use it with growth=learned growth.population=%s", prior.describe(), path)
    return Scored(extra={
        "law": LEARNED, "unit": prior.unit, "population": str(path),
        "n_patients": prior.about["n_patients"], "n_slices": prior.about["n_series"],
        f"floor_{prior.unit}": prior.floor, "weight_learned": prior.weight,
    })  # fmt: skip


EVALUATION = Evaluation(
    cases, score, lambda job, done: {}, reads=SIZES, table="", resumes=False
)

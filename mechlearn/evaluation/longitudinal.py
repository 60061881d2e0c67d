"""Longitudinal validation (section 3.3): forecast each slice's last visit from the earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mechlearn.evaluation.case_selection import followed_slices
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.map_cases import kept_arrays
from mechlearn.evaluation.method_scores import summarise as summarise_methods
from mechlearn.evaluation.population_fit import check_unseen
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.evaluation.runner import Done, Evaluation, Scored
from mechlearn.evaluation.slice_forecast import forecast_slice
from mechlearn.growth.population_file import load_ensemble
from mechlearn.records import LongitudinalSlice

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EVALUATION"]

BINS = 10  # of the reliability diagram


def cases(job: Job) -> list[LongitudinalSlice]:
    """Growing slices over all visits.

    Raises:
        ValueError: the population was fitted to these patients.
    """
    found = followed_slices(job)
    if job.growth.population is not None:
        check_unseen(load_ensemble(job.growth.population), (item.patient for item in found))
    return found


def score(job: Job, item: LongitudinalSlice) -> Scored:
    """Forecast the last visit from the others; growth maps and baselines against the truth.

    Raises:
        ValueError, RuntimeError: one visit only; a series that cannot be fitted.
    """
    if len(item.slices) < 2:
        raise ValueError("only one visit: none can be held out")
    seen, truth = LongitudinalSlice(item.slices[:-1], item.courses), item.slices[-1]
    made = forecast_slice(job.sampler, seen, truth.day, growth=job.growth, maps=job.task.maps,
                          seed=job.seed, follow_up=truth)  # fmt: skip
    return Scored([made.row], kept_arrays(made))


def summarise(job: Job, done: Done) -> Row:
    """Forecast scores, HD95 and Dice by method with Wilcoxon tests over slices and over patients'
    medians, calibration; writes `reliability.csv`."""
    write_table(job.out_dir / "reliability.csv", _reliability(done), first=("probability",))
    growth, maps = job.growth, job.task.maps
    return {
        "n_slices": len(done.rows), "law": growth.law, "population": growth.population,
        "setup": growth.setup, "n_bootstrap": growth.n_bootstrap, "nodes": maps.nodes,
        "threshold": maps.threshold, **summarise_methods(done.rows),
    }  # fmt: skip


def _reliability(done: Done) -> list[Row]:
    """Mean probability, observed frequency and number of pixels by bin of the dynamic map,
    over the pixels of all slices inside the brain and outside the initial mask."""
    sums = np.zeros((BINS, 3))
    for held in done.arrays():
        outside = held["brain"] & ~held["initial"]
        p = held["probability_dynamic"][outside].astype(float)
        y = held["truth"][outside].astype(float)
        at = np.minimum((p * BINS).astype(int), BINS - 1)
        for column, values in enumerate((p, y, np.ones_like(p))):
            sums[:, column] += np.bincount(at, values, BINS)
    used = sums[sums[:, 2] > 0]
    return [{"probability": float(p / n), "frequency": float(y / n), "pixels": int(n)}
            for p, y, n in used]


def figures(job: Job, done: Done) -> Mapping[str, Figure]:
    from mechlearn.report.longitudinal_figures import forecast_scores_figure, longitudinal_figure

    reliability: Sequence[list[float]] = [list(r.values()) for r in _reliability(done)]
    return {
        "longitudinal.png": longitudinal_figure(done.rows),
        "forecast_scores.png": forecast_scores_figure(done.rows, np.array(reliability)),
    }


EVALUATION = Evaluation(
    cases, score, summarise, figures, table="slices.csv", first=("slice_id", "patient", "z"),
    left_out=(ValueError, RuntimeError),
)  # fmt: skip

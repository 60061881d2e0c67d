"""Tasks of sizes alone: they load no model and read no image."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import mechlearn
from mechlearn.config.growth_config import growth_spec
from mechlearn.config.schema import TaskConfig
from mechlearn.config.series_source import CohortSeries, open_series
from mechlearn.config.specs import output_dir
from mechlearn.evaluation.fans import load_fans
from mechlearn.evaluation.growth_fits import CROSS_FIT, run_growth_fits
from mechlearn.evaluation.population_fit import FILE as POPULATION_FILE
from mechlearn.evaluation.population_fit import CrossFit, run_population
from mechlearn.evaluation.rows import Row, read_table, write_table
from mechlearn.evaluation.size_comparison import compare
from mechlearn.files import write_text
from mechlearn.growth.growth_spec import LEARNED, GrowthSpec
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.growth.size_prior_fit import LearnedSpec, fit_size_prior
from mechlearn.report.growth_figures import Fan, fans_figure, scores_figure
from mechlearn.report.style import save

__all__ = ["GROWTH_TASKS"]

log = logging.getLogger(__name__)


def _growth_fits(cfg: DictConfig, task: TaskConfig) -> Row:
    series, folder, growth = open_series(cfg, task), output_dir(), growth_spec(cfg)
    settings = CrossFit(task.folds, tuple(task.laws), cfg.seed, task.floor)
    row = run_growth_fits(
        series.timelines, out_dir=folder, growth=growth, unit=series.unit,
        cross_fit=settings if growth.population == CROSS_FIT else None,
        about=series.about,
    )  # fmt: skip
    _draw(folder, series, row)
    if growth.law == LEARNED:
        row |= _compared(cfg, task, growth, series, folder)
    return row


def _compared(
    cfg: DictConfig, task: TaskConfig, growth: GrowthSpec, series: CohortSeries, folder: Path
) -> Row:
    """Print the table of the learned forecast beside its baselines; keep its rows and text."""
    prior = None if growth.population == CROSS_FIT else load_size_prior(
        growth.population, series.timelines[0].compartment)  # fmt: skip
    found = compare(series.timelines, holdouts=task.holdouts, prior=prior, n_folds=task.folds,
                    learned=LearnedSpec(seed=cfg.seed), seed=cfg.seed)  # fmt: skip
    text = found.table(seed=cfg.seed)
    write_table(folder / "comparison.csv", found.rows, first=("series", "patient", "model"))
    write_text(folder / "comparison.txt", f"{text}\n")
    log.info("%s\n%s", series.name, text)
    return {f"compared_{k}": v for k, v in found.summary(seed=cfg.seed).items()}


def _draw(folder: Path, series: CohortSeries, row: Row) -> None:
    rows = [r for r in read_table(folder / "slices.csv") if r["skipped"] is None]
    if not rows:
        log.warning("no slice could be forecast, so there is nothing to draw")
        return
    whole = {t.name: t for t in series.timelines}
    fans = [
        Fan(whole[f.name].before(whole[f.name].visits[-1].day), f,
            whole[f.name].visits[-1])
        for f in load_fans(folder / "fans.npz")
    ]  # fmt: skip
    where = f"{series.name}, {row['n_slices']} slices of {row['n_patients']} patients"
    drawn = {
        "fans.png": fans_figure(fans, unit=series.unit, title=where),
        "scores.png": scores_figure({row["law"]: rows}, title=where),
    }
    for name, figure in drawn.items():
        log.info("figure: %s", save(figure, folder / name))


def _population(cfg: DictConfig, task: TaskConfig) -> Row:
    series = open_series(cfg, task)
    if cfg.growth.law == LEARNED:
        return _size_prior(cfg, series)
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    about = {
        "cohort": series.name, "version": mechlearn.__version__,
        "command": " ".join(["python -m mechlearn.evaluate", *given]),
    }  # fmt: skip
    row = run_population(
        series.timelines, out_dir=output_dir(), laws=task.laws, unit=series.unit,
        floor=task.floor, n_folds=task.folds, seed=cfg.seed,
        alpha_beta_gy=growth_spec(cfg).dose_model, about=about,
    )  # fmt: skip
    return row | series.about


def _size_prior(cfg: DictConfig, series: CohortSeries) -> Row:
    """Fit a size prior and write it where a population would be written."""
    about = {"cohort": series.name, "version": mechlearn.__version__}
    prior = fit_size_prior(series.timelines, LearnedSpec(seed=cfg.seed), about=about)
    path = prior.save(output_dir() / POPULATION_FILE)
    log.info("%s: use it with growth=learned growth.population=%s", prior.describe(), path)
    return {
        "job": "population", "law": LEARNED, "unit": prior.unit, "population": str(path),
        "n_patients": prior.about["n_patients"], "n_slices": prior.about["n_series"],
        f"floor_{prior.unit}": prior.floor, "weight_learned": prior.weight, **series.about,
    }  # fmt: skip


GROWTH_TASKS = {"growth_fits": _growth_fits, "population": _population}

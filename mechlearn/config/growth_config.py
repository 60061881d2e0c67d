"""Growth settings of a config: the spec, its population prior, and changes of treatment."""

from __future__ import annotations

import logging

from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.evaluation.growth_fits import CROSS_FIT
from mechlearn.evaluation.treatment_change import CourseChange, responding
from mechlearn.growth.ensemble_forecast import members_for
from mechlearn.growth.growth_spec import LEARNED, GrowthSpec
from mechlearn.growth.learned_forecast import load_size_prior
from mechlearn.growth.population_file import load_ensemble

__all__ = ["course_change", "growth_spec", "prior_note", "warn_of_prior"]

PACKAGED = "phantom"
log = logging.getLogger(__name__)


def growth_spec(cfg: DictConfig) -> GrowthSpec:
    """`cfg.growth` as a spec; checks ranges, and that the population suits the model and the task.

    Raises:
        FileNotFoundError: no such population.
        ValueError: a value out of range; a population without the growth model, or of volumes
            where slices are forecast; cross_fit in a task without a cohort.
    """
    spec = OmegaConf.to_object(cfg.growth)
    assert isinstance(spec, GrowthSpec)
    task = cfg.task.name if "task" in cfg else ""
    if spec.law == LEARNED and task not in ("growth_fits", "population"):
        raise ValueError(
            f"growth.law='learned' with task={task or 'forecast'!r}: it forecasts only series of "
            "sizes. Use growth=pooled, or use +experiment=growth_fits or "
            "mechlearn.growth.learned_forecast.forecast_size."
        )
    if spec.population == CROSS_FIT:
        if task != "growth_fits":
            raise ValueError(
                f"growth.population={CROSS_FIT!r}: only task=growth_fits has a cohort to fit. Fit "
                "a population with `python -m mechlearn.evaluate +experiment=population` and give "
                "its file, or give phantom or null."
            )
    elif spec.law == LEARNED:
        if task != "population":  # this task fits the prior
            load_size_prior(spec.population)
    elif spec.population is not None:
        ensemble = load_ensemble(spec.population)
        members_for(spec, ensemble)
        if task != "growth_fits":
            remedy = "Forecasts of slices are of areas. Give a population of areas."
            one_of(f"growth.population={spec.population}: unit", ensemble.unit, ("mm2",),
                   remedy=remedy)  # fmt: skip
    return spec


def course_change(cfg: DictConfig) -> CourseChange | None:
    """The change of treatment in `cfg.what_if`; None if it is empty.

    Raises:
        ValueError: values that contradict each other; a growth model without radiotherapy.
    """
    asked = {str(key): value for key, value in cfg.what_if.items() if value is not None}
    if not asked:
        return None
    change, spec = CourseChange(**asked), growth_spec(cfg)
    if not any(responding(spec).values()):
        raise ValueError(
            f"what_if with growth.law={spec.law!r}, growth.population={spec.population!r}: the "
            "growth model does not include radiotherapy, so no course changes the forecast. Use "
            "growth=pooled, ode, linear_rt, logistic_rt or gompertz_rt."
        )
    return change


def warn_of_prior(cfg: DictConfig) -> None:
    """Log `prior_note` if it is not None."""
    if (note := prior_note(cfg)) is not None:
        log.warning("%s", note)


def prior_note(cfg: DictConfig) -> str | None:
    """Warning for forecasts of patients with the packaged population, which was fitted to phantoms;
    otherwise None."""
    own = cfg.data.kind != "phantom" or ("task" in cfg and cfg.task.series is not None)
    if cfg.growth.population != PACKAGED or not own:
        return None
    return (
        "The prior of this forecast comes from phantoms, not from patients: growth.population="
        "phantom is the packaged population, fitted to simulated tumours. For patients, fit one "
        "to a cohort of yours (python -m mechlearn.evaluate +experiment=population "
        "task.series=sizes.csv) and give growth.population=FILE."
    )

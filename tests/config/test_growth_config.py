"""The growth side of a config: what is refused, and what a reader is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import DictConfig

from mechlearn.config.growth_config import course_change, growth_spec, prior_note
from mechlearn.evaluation.treatment_change import CourseChange
from mechlearn.growth.population_file import load_ensemble

Compose = Callable[..., DictConfig]


def test_a_single_law_is_fitted_as_in_the_paper(composed: Compose) -> None:
    assert growth_spec(composed("evaluate", "growth=ode")).population is None


def test_a_population_that_is_not_there_is_refused(composed: Compose) -> None:
    cfg = composed("evaluate", "growth.population=none.json")
    with pytest.raises(FileNotFoundError, match=r"growth\.population=none\.json: no such file"):
        growth_spec(cfg)


def test_a_law_that_the_population_lacks_is_refused(composed: Compose, population: Path) -> None:
    cfg = composed("evaluate", "growth=gompertz", f"growth.population={population}")
    with pytest.raises(ValueError, match=r"growth\.law='gompertz'"):
        growth_spec(cfg)


@pytest.mark.parametrize("task", ["longitudinal", "grid", "population"])
def test_cross_fit_needs_a_cohort(composed: Compose, task: str) -> None:
    cfg = composed("evaluate", f"task={task}", "growth.population=cross_fit")
    with pytest.raises(ValueError, match="only task=growth_fits"):
        growth_spec(cfg)


def test_cross_fit_is_taken_by_growth_fits(composed: Compose) -> None:
    cfg = composed("evaluate", "task=growth_fits", "growth.population=cross_fit")
    assert growth_spec(cfg).population == "cross_fit"


def test_a_forecast_of_slices_wants_a_population_of_areas(
    composed: Compose, population: Path, tmp_path: Path
) -> None:
    volumes = replace(load_ensemble(population), unit="mm3").save(tmp_path / "volumes.json")
    with pytest.raises(ValueError, match="must be one of mm2"):
        growth_spec(composed("forecast", "growth=pooled", f"growth.population={volumes}"))
    fits = ("task=growth_fits", "growth=pooled", f"growth.population={volumes}")
    assert growth_spec(composed("evaluate", *fits)).population == str(volumes)


def test_own_data_is_warned_of_a_prior_from_phantoms(composed: Compose, population: Path) -> None:
    assert "from phantoms" in (prior_note(composed("forecast", "growth=pooled")) or "")
    own = composed("evaluate", "task=growth_fits", "task.series=a.csv", "growth=pooled")
    assert prior_note(own) is not None
    assert prior_note(composed("forecast", "data=phantom", "growth=pooled")) is None
    given = composed("forecast", "growth=pooled", f"growth.population={population}")
    assert prior_note(given) is None
    assert prior_note(composed("forecast", "growth=ode")) is None


def test_a_forecast_asks_no_what_if_by_default(composed: Compose) -> None:
    assert course_change(composed("forecast")) is None


def test_a_what_if_is_read_as_it_is_given(composed: Compose) -> None:
    given = ("what_if.rt_start_day=30", "what_if.dose_gy=54", "what_if.fractions=30")
    assert course_change(composed("forecast", *given)) == CourseChange(None, 30.0, 54.0, 30)
    assert course_change(composed("forecast", "what_if.rt=false")) == CourseChange(rt=False)


@pytest.mark.parametrize("growth", [["growth=exponential"], ["growth=gompertz",
                                    "growth.population=phantom"]])  # fmt: skip
def test_a_what_if_needs_a_law_that_knows_radiotherapy(
    composed: Compose, growth: list[str]
) -> None:
    with pytest.raises(ValueError, match=r"does not include radiotherapy.*=pooled, ode"):
        course_change(composed("forecast", "what_if.rt=false", *growth))


def test_a_learned_forecast_is_for_series_of_sizes(composed: Callable[..., DictConfig]) -> None:
    with pytest.raises(ValueError, match=r"growth\.law='learned' with task='forecast'"):
        growth_spec(composed("forecast", "growth=learned"))
    spec = growth_spec(composed("evaluate", "+experiment=growth_fits", "growth=learned"))
    assert (spec.law, spec.population) == ("learned", "glioma")


def test_a_learned_forecast_needs_a_cohort(composed: Callable[..., DictConfig]) -> None:
    alone = ("growth=learned", "growth.population=null")
    cfg = composed("evaluate", "+experiment=growth_fits", *alone)
    with pytest.raises(ValueError, match="needs a prior from a cohort"):
        growth_spec(cfg)

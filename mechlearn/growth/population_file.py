"""Population files: an ensemble of growth models as JSON, packaged or fitted to a cohort."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.growth.ensemble import VERSION, Calibration, Ensemble, Member
from mechlearn.growth.measurement_noise import Discrepancy
from mechlearn.growth.models import growth_model_of_file
from mechlearn.growth.population_prior import PopulationPrior, population_model

__all__ = ["load_ensemble"]


def _calibration(held: Mapping[str, Any]) -> Calibration | None:
    if held["error_quantiles"] is None:
        return None
    return Calibration(np.array(held["error_quantiles"], float), int(held["n_patients"]))


def load_ensemble(source: str | Path) -> Ensemble:
    """A packaged population by name (`phantom`), or one from a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a population file, or one of laws that this version does not know.
    """
    if str(source) == "phantom":
        text = files("mechlearn.growth").joinpath("populations/phantom.json").read_text()
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(
                f"growth.population={source}: no such file. Make one with `python -m "
                "mechlearn.evaluate +experiment=population`, or use phantom or null."
            )
        text = path.read_text()
    try:
        content = json.loads(text)
        if content["format"] != "mechlearn population" or content["version"] != VERSION:
            raise ValueError(f"format {content['format']!r}, version {content['version']!r}")
        members = tuple(_member(held) for held in content["laws"])
        return Ensemble(members, content["unit"], content["about"], content["alpha_beta_gy"],
                    _calibration(content), content["ceiling"], content["held_out"])  # fmt: skip
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise ValueError(
            f"growth.population={source}: not a population file of version {VERSION} ({error}). "
            "Make it again with `python -m mechlearn.evaluate +experiment=population`."
        ) from error


def _member(held: Mapping[str, Any]) -> Member:
    law = growth_model_of_file(str(held["law"]))
    if "log radiosensitivity" in held["parameters"]:
        law = law.linear_quadratic()
    law = population_model(law)
    names = [f"log {p.name}" if p.scale == "log" else p.name for p in law.parameters]
    if names != held["parameters"]:
        raise ValueError(f"law {law.name} has parameters {names}, the file {held['parameters']}")
    population = PopulationPrior(
        law, np.array(held["mean"]), np.array(held["covariance"]),
        Discrepancy(held["sigma"], held["tau_per_sqrt_day"]), held["floor"],
    )  # fmt: skip
    if population.mean.shape != (len(names),) or population.covariance.shape != (len(names),) * 2:
        raise ValueError(f"law {law.name}: mean or covariance is not of {len(names)} parameters")
    np.linalg.cholesky(population.covariance)  # refuses what is not a covariance
    return Member(population, float(held["weight"]), _calibration(held), held["held_out"])

"""Population files: an ensemble of growth models as JSON, packaged or fitted to a cohort."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from mechlearn.file_entries import FileEntries
from mechlearn.growth.ensemble import LEVELS, VERSION, Calibration, Ensemble, Member
from mechlearn.growth.measurement_noise import Discrepancy
from mechlearn.growth.models import growth_model_of_file
from mechlearn.growth.population_prior import PopulationPrior, population_model
from mechlearn.records.sizes import UNITS

__all__ = ["load_ensemble"]

_KEY = "growth.population"
_REMEDY = "Make it again with `python -m mechlearn.evaluate +experiment=population`."
_MOST_LOG = 100.0  # of a change of the logarithm of a size
_SHARED = 0.01  # tolerance of the sum of the weights, which are rounded in a file


def load_ensemble(source: str | Path) -> Ensemble:
    """A packaged population by name (`phantom`), or one from a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a population file, unknown growth models, or a value that is not allowed:
            the message names file, key, value and rule.
    """
    if str(source) == "phantom":
        with as_file(files("mechlearn.growth").joinpath("populations/phantom.json")) as path:
            return _ensemble(FileEntries.read(path, key=_KEY, remedy=_REMEDY))
    path = Path(source).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"growth.population={source}: no such file. Make one with `python -m "
            "mechlearn.evaluate +experiment=population`, or use phantom or null."
        )
    return _ensemble(FileEntries.read(path, key=_KEY, remedy=_REMEDY))


def _ensemble(file: FileEntries) -> Ensemble:
    file.equal("format", "mechlearn population")
    file.equal("version", VERSION)
    file.only("format", "version", "unit", "alpha_beta_gy", "ceiling", "about", "error_quantiles",
              "n_patients", "held_out", "laws")  # fmt: skip
    members = tuple(_member(entry) for entry in file.sections("laws"))
    names = [m.name for m in members]
    if len(set(names)) < len(names):
        raise file.wrong("laws", names, "must not name a growth model twice")
    total = sum(m.weight for m in members)
    if abs(total - 1) > _SHARED:
        raise file.wrong("laws", [m.weight for m in members], f"weights sum to {total:g}, not 1")
    return Ensemble(
        members, file.choice("unit", UNITS), file.section("about").held,
        None if file.value("alpha_beta_gy") is None
        else file.number("alpha_beta_gy", 0, above=True),
        _calibration(file),
        None if file.value("ceiling") is None else file.number("ceiling", 0, above=True),
        _scores(file),
    )  # fmt: skip


def _calibration(file: FileEntries) -> Calibration | None:
    if file.value("error_quantiles") is None:
        return None
    quantiles = file.numbers(
        "error_quantiles", LEVELS.shape, -_MOST_LOG, _MOST_LOG, ascending=True
    )
    return Calibration(quantiles, file.count("n_patients"))


def _scores(file: FileEntries) -> dict[str, float]:
    scores = file.section("held_out")
    return {key: scores.number(key, 0) for key in scores.held}


def _member(file: FileEntries) -> Member:
    file.only("law", "weight", "parameters", "mean", "covariance", "sigma", "tau_per_sqrt_day",
              "floor", "held_out", "error_quantiles", "n_patients")  # fmt: skip
    try:
        law = growth_model_of_file(str(file.value("law")))
    except ValueError as error:
        raise file.wrong("law", file.value("law"), str(error).rstrip(".")) from error
    if "log radiosensitivity" in file.words("parameters"):
        law = law.linear_quadratic()
    law = population_model(law)
    names = [f"log {p.name}" if p.scale == "log" else p.name for p in law.parameters]
    file.equal("parameters", names)
    mean = file.numbers("mean", (len(names),))
    covariance = file.numbers("covariance", (len(names), len(names)))
    if not np.allclose(covariance, covariance.T, rtol=1e-3) or (
        np.linalg.eigvalsh(covariance) <= 0
    ).any():
        raise file.wrong("covariance", covariance.tolist(), "must be symmetric and positive")
    noise = Discrepancy(
        file.number("sigma", 0, 10, above=True), file.number("tau_per_sqrt_day", 0, 10, above=True)
    )
    floor = file.number("floor", 0, above=True)
    return Member(PopulationPrior(law, mean, covariance, noise, floor),
                  file.number("weight", 0, 1), _calibration(file), _scores(file))  # fmt: skip

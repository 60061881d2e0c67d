"""A population or prior file with a value that cannot be is refused: file, key, value, remedy."""

import json
import math
from importlib.resources import files

import pytest

from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.size_prior import SizePrior

GROWTH = files("mechlearn.growth")


def changed(content, path, value):
    """`content` with the value at a path such as laws.0.sigma replaced."""
    *parents, last = path.split(".")
    at = content
    for key in parents:
        at = at[int(key)] if isinstance(at, list) else at[key]
    at[int(last) if isinstance(at, list) else last] = value
    return content


POPULATION = [
    ("unit", "cm3", "unit='cm3': must be one of mm2, mm3"),
    ("ceiling", -5.0, "ceiling=-5.0: must be a finite number above 0"),
    ("alpha_beta_gy", "ten", "alpha_beta_gy='ten': must be a finite number above 0"),
    ("error_quantiles", [0.0], "error_quantiles=.*must be 199 numbers"),
    ("error_quantiles.3", 9.0, "error_quantiles=.*must ascend"),
    ("n_patients", 2.5, "n_patients=2.5: must be a whole number"),
    ("about", [], r"about=\[\]: must be an object"),
    ("surprise", 1, "surprise=1: is not known"),
    ("laws.0.weight", 1.4, r"laws\[0\].weight=1.4: must be a finite number from 0 to 1"),
    ("laws.0.weight", 0.9, "weights sum to"),
    ("laws.0.sigma", 0.0, r"laws\[0\].sigma=0.0: must be a finite number above 0"),
    ("laws.0.sigma", True, r"laws\[0\].sigma=True: must be a finite number"),
    ("laws.0.floor", math.nan, r"laws\[0\].floor=nan: must be a finite number above 0"),
    ("laws.0.mean.1", math.inf, r"laws\[0\].mean=.*must be finite numbers"),
    ("laws.0.covariance.0.1", 50.0, r"laws\[0\].covariance=.*symmetric and positive"),
    ("laws.1.law", "logistic_rt", r"laws\[1\].parameters|must not name a growth model twice"),
]
PRIOR = [
    ("floor", 0, "floor=0: must be a finite number above 0"),
    ("weight", -0.1, "weight=-0.1: must be a finite number from 0 to 1"),
    ("ranks.5", 1.5, "ranks=.*must be finite numbers from 0 to 1"),
    ("ranks.5", 0.9, "ranks=.*must ascend"),
    ("ratio", ["a"], "ratio=.*must be 400 numbers"),
    ("features.0", "shoe_size", "features='shoe_size': is not a feature"),
    ("gompertz.noise", -1.0, r"gompertz.noise=-1.0: must be a finite number above 0"),
    ("residual.width.2", 0.0, "residual.width=.*must be finite numbers above 0"),
    ("residual.location", [1.0, 2.0], "residual.location=.*must be 17 numbers"),
]


def refuses(load, tmp_path, packaged, path, value, words):
    content = json.loads(GROWTH.joinpath(packaged).read_text())
    file = tmp_path / "given.json"
    file.write_text(json.dumps(changed(content, path, value)))
    with pytest.raises(ValueError, match=f"growth.population=.*given.json: .*{words}.*Make"):
        load(file)


@pytest.mark.parametrize(("path", "value", "words"), POPULATION)
def test_population_that_cannot_be_is_refused(tmp_path, path, value, words):
    refuses(load_ensemble, tmp_path, "populations/phantom.json", path, value, f"({words})")


@pytest.mark.parametrize(("path", "value", "words"), PRIOR)
def test_prior_that_cannot_be_is_refused(tmp_path, path, value, words):
    refuses(SizePrior.load, tmp_path, "size_priors/flair.json", path, value, f"({words})")


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
@pytest.mark.parametrize("load", [load_ensemble, SizePrior.load])
def test_what_is_no_object_is_refused(tmp_path, load, text):
    file = tmp_path / "given.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"growth.population=.*given.json.*Make"):
        load(file)

"""A population, prior or card with a value that cannot be is refused: file, key, value, remedy."""

import copy
import json
import math
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mechlearn.config.errors import user_text
from mechlearn.growth.population_file import load_ensemble
from mechlearn.growth.size_prior import SizePrior
from mechlearn.models.checkpoint_files import check_card

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


def paths_of(node, at=()):
    """Path of every entry; of long lists the ends and the middle."""
    if isinstance(node, dict):
        inside = list(node.items())
    else:
        inside = [(i, node[i]) for i in sorted({0, len(node) // 2, len(node) - 1})] if node else []
    for key, value in inside:
        yield (*at, key)
        if isinstance(value, (dict, list, tuple)):
            yield from paths_of(value, (*at, key))


def read_card(path):
    check_card(json.loads(path.read_text()), str(path))


CARD = {"kind": "ddpm", "network": {"_target_": "x"}, "gain": 1.5,
        "schedule": {"kind": "linear", "levels": 1000, "beta_start": 1e-4, "beta_end": 0.02},
        "data": {"contrasts": ["t1n", "t2f"], "size": 128, "pixel_mm": 1.5,
                 "intensity": {"percentiles": [0.5, 99.9]}}}  # fmt: skip
FILES = {
    "population": (json.loads(GROWTH.joinpath("populations/phantom.json").read_text()),
                   load_ensemble),
    "prior": (json.loads(GROWTH.joinpath("size_priors/flair.json").read_text()), SizePrior.load),
    "card": (CARD, read_card),
}  # fmt: skip
REMOVED = "removed"
ANY = st.sampled_from([REMOVED, None, True, -1, 0, 1e300, math.nan, math.inf, "x", [], [1], {},
                       {"a": 1}]) | st.floats() | st.text(max_size=3)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
          )  # fmt: skip
@given(data=st.data(), value=ANY)
@pytest.mark.parametrize("what", FILES)
def test_any_entry_with_any_value_is_read_or_named_with_its_file(tmp_path, what, data, value):
    content, load = FILES[what]
    at = data.draw(st.sampled_from(list(paths_of(content))))
    given_content = copy.deepcopy(content)
    within = given_content
    for key in at[:-1]:
        within = within[key]
    if value == REMOVED:
        del within[at[-1]]
    else:
        within[at[-1]] = value
    file = tmp_path / "given.json"
    file.write_text(json.dumps(given_content))
    try:
        load(file)
    except ValueError as error:
        said = user_text(error)
        keys = [key for key in at if isinstance(key, str)]
        assert "given.json" in said
        assert "\n" not in said
        assert keys[0] == "features" or any(key in said for key in keys)


@pytest.mark.parametrize("value", [math.nan, True, "x", None])
@pytest.mark.parametrize("what", FILES)
def test_nothing_else_stands_for_a_number(tmp_path, what, value):
    content, load = FILES[what]
    file = tmp_path / "given.json"
    for at in paths_of(content):
        old = content
        for key in at:
            old = old[key]
        optional = value is None and at[-1] in ("alpha_beta_gy", "ceiling")
        if isinstance(old, float) and at[0] != "about" and not optional:
            path = ".".join(map(str, at))
            file.write_text(json.dumps(changed(copy.deepcopy(content), path, value)))
            with pytest.raises(ValueError, match="given.json"):
                load(file)

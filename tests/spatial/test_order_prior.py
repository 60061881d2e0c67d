"""The growth prior: its features, its file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mechlearn.records import AxialSlice, Surroundings
from mechlearn.spatial.order_prior import GrowthPrior, features, load_prior

ROWS, COLUMNS = np.indices((40, 40))
BRAIN = np.hypot(ROWS - 20, COLUMNS - 20) < 17
TUMOUR = np.hypot(ROWS - 18, COLUMNS - 22) < 5


def scan(**changes):
    rng = np.random.default_rng(0)
    image = np.where(BRAIN, rng.normal(0, 0.2, (4, 40, 40)), -1).astype(np.float32)
    flat = AxialSlice("p", "s", 0.0, 0, image, TUMOUR.astype(np.uint8), BRAIN, (1.5, 1.5))
    return replace(flat, **changes)


def surroundings():
    return Surroundings(np.full((40, 40), 3.0, np.float32), np.full((40, 40), 8.0, np.float32))


def test_surroundings_stand_in_for_the_plane():
    found = features(scan(surroundings=surroundings()))
    assert (found["space>0"] == 3).all()
    assert (found["travel>5"] == 3).all()
    assert not any(name.startswith("space") for name in features(scan()))


def test_a_score_adds_weighted_features():
    prior = GrowthPrior({"space>0": 2.0, "travel>5": -1.0}, {"plane>0": 1.0}, {})
    assert (prior.score(scan(surroundings=surroundings())) == 2 * 3 - 3).all()
    assert np.array_equal(prior.score(scan()), features(scan())["plane>0"])


def test_look_beyond_the_mask_does_not_see_into_it():
    bright = scan()
    bright.image[3, TUMOUR] = 1.0
    assert np.array_equal(features(bright)["t2f~1.5"], features(scan())["t2f~1.5"])


def test_contrasts_that_are_missing_are_named():
    found = scan()
    with pytest.raises(ValueError, match="t2f missing"):
        features(replace(found, image=found.image[:3], contrasts=("t1n", "t1c", "t2w")))


def test_the_packaged_prior_says_what_it_was_fitted_to():
    assert "phantom" in load_prior().about["fitted_to"]


def test_a_prior_comes_back_from_its_file(tmp_path):
    prior = GrowthPrior({"space>0": 0.125}, {"t1n~1.5": -2.0}, {"fitted_to": "these"})
    assert load_prior(prior.save(tmp_path / "prior.json")) == prior


def test_weights_of_unknown_features_are_refused(tmp_path):
    path = GrowthPrior({"space>0": 1.0}, {"space>0": 1.0}, {}).save(tmp_path / "prior.json")
    with pytest.raises(ValueError, match=r"prior.json: .*unknown features \['space>0'\]"):
        load_prior(path)
    path.write_text(json.dumps({"format": "something"}))
    with pytest.raises(ValueError, match=r"prior.json: not a prior of version 1.*prior_fit"):
        load_prior(path)

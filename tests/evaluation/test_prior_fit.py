"""Fitting the growth prior: recovery, intercepts, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.prior_fit import fit_prior, fit_weights
from mechlearn.metrics.distance import dice
from mechlearn.records import AxialSlice, Surroundings
from mechlearn.spatial.arrival_order import growth_order, mask_at_area
from mechlearn.spatial.regions import dilate_to_area

ROWS, COLUMNS = np.indices((48, 48))
BRAIN = np.hypot(ROWS - 24, COLUMNS - 24) < 22


def test_weights_are_recovered_whatever_the_intercepts():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 400)
    x = rng.normal(0, 3, (groups.size, 2)) + groups[:, None] / 10
    logit = x @ [0.5, -0.25] + rng.normal(0, 2, 30)[groups]
    y = rng.random(groups.size) < 1 / (1 + np.exp(-logit))
    assert fit_weights(x, y, groups, penalty=1e-6) == pytest.approx([0.5, -0.25], abs=0.03)


def test_a_group_of_one_class_is_refused():
    with pytest.raises(ValueError, match="one class"):
        fit_weights(np.zeros((4, 1)), np.array([1, 1, 0, 1], bool), np.array([0, 0, 1, 1]))


def pair(seed):
    """A tumour that grows to the right, where FLAIR is a little brighter."""
    rng = np.random.default_rng(seed)
    row, column = 24 + rng.integers(-4, 5, 2)
    first = np.hypot(ROWS - row, COLUMNS - column) < 5
    second = np.hypot(ROWS - row, (COLUMNS - column - 3) * 0.7) < 6
    image = np.where(BRAIN, rng.normal(0, 0.1, (4, 48, 48)), -1).astype(np.float32)
    image[3, (column < COLUMNS) & BRAIN] += 0.2
    distance = np.hypot(ROWS - row, COLUMNS - column).astype(np.float32) - 5
    around = Surroundings(distance, np.maximum(distance, 0))
    made = [
        AxialSlice(f"P{seed}", session, 0.0, 0, image, mask.astype(np.uint8), BRAIN, (1.0, 1.0),
                   surroundings=around)
        for session, mask in (("a", first), ("b", second | first))
    ]  # fmt: skip
    return made[0], made[1]


def test_what_was_fitted_places_growth_better_than_dilation():
    prior = fit_prior([pair(seed) for seed in range(6)], about={}, pixels=300)
    scan, follow_up = pair(99)
    area = int(follow_up.tumour.sum())
    grown = mask_at_area(growth_order(scan, prior=prior), area)
    even = dilate_to_area(scan.tumour, BRAIN, area)
    assert dice(grown, follow_up.tumour) > dice(even, follow_up.tumour) + 0.03


def test_nothing_that_grows_cannot_be_fitted():
    scan, _ = pair(0)
    with pytest.raises(ValueError, match="no growing slice"):
        fit_prior([(scan, scan)], about={})

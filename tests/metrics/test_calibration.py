"""Calibration of probability maps against scikit-learn, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    binary_average_precision,
    binary_calibration_error,
)

from mechlearn.metrics.calibration import (
    average_precision,
    brier,
    ece,
    evaluation_region,
    reliability,
)

RNG = np.random.default_rng(0)
PROBABILITY = RNG.uniform(0, 1, (64, 64))
TRUTH = RNG.uniform(0, 1, (64, 64)) < PROBABILITY  # calibrated by construction
BRAIN = np.ones((64, 64), bool)


def test_region_is_the_brain_without_the_initial_tumour():
    initial = np.zeros_like(BRAIN)
    initial[:10] = True
    assert evaluation_region(BRAIN, initial).sum() == 54 * 64


def test_brier_of_the_truth_is_zero():
    assert brier(TRUTH.astype(float), TRUTH, region=BRAIN) == 0.0


def test_brier_of_one_half_is_a_quarter():
    assert brier(np.full((64, 64), 0.5), TRUTH, region=BRAIN) == pytest.approx(0.25)


def test_pixels_outside_the_region_do_not_count():
    region = BRAIN.copy()
    region[:32] = False
    mangled = PROBABILITY.copy()
    mangled[:32] = 1.0
    for score in (brier, ece, average_precision):
        assert score(mangled, TRUTH, region=region) == score(PROBABILITY, TRUTH, region=region)


def test_ece_is_that_of_torchmetrics():
    # torchmetrics scores confidence, which for p > 0.5 is the probability of tumour
    p, t = 0.5 + 0.5 * PROBABILITY.ravel(), TRUTH.ravel()
    expected = binary_calibration_error(torch.tensor(p), torch.tensor(t).int(), n_bins=20)
    found = ece(p.reshape(64, 64), TRUTH, region=BRAIN, n_bins=20)
    assert found == pytest.approx(float(expected), abs=2e-3)


def test_calibrated_map_has_a_small_ece_and_a_squeezed_one_a_large():
    assert ece(PROBABILITY, TRUTH, region=BRAIN) < 0.03
    assert ece(PROBABILITY**3, TRUTH, region=BRAIN) > 0.15


@pytest.mark.parametrize("digits", [1, 2, 8])
def test_average_precision_is_that_of_torchmetrics(digits):
    p = PROBABILITY.round(digits)
    expected = binary_average_precision(torch.tensor(p.ravel()), torch.tensor(TRUTH.ravel()).int())
    found = average_precision(p, TRUTH, region=BRAIN)
    assert found == pytest.approx(float(expected), abs=1e-6)


def test_average_precision_of_a_constant_is_the_prevalence():
    found = average_precision(np.full((64, 64), 0.3), TRUTH, region=BRAIN)
    assert found == pytest.approx(TRUTH.mean())


def test_average_precision_of_the_truth_is_one():
    assert average_precision(TRUTH.astype(float), TRUTH, region=BRAIN) == pytest.approx(1.0)


def test_average_precision_needs_a_tumour():
    assert average_precision(PROBABILITY, np.zeros_like(BRAIN), region=BRAIN) is None


def test_reliability_counts_every_pixel_once():
    bins = reliability(PROBABILITY, TRUTH, region=BRAIN, n_bins=10)
    assert bins.count.sum() == BRAIN.sum()
    assert bins.observed == pytest.approx(bins.predicted, abs=0.08)


def test_reliability_leaves_out_empty_bins():
    bins = reliability(np.full((64, 64), 0.3), TRUTH, region=BRAIN, n_bins=10)
    assert bins.predicted == pytest.approx([0.3])
    assert bins.edges.size == 11


@pytest.mark.parametrize("score", [brier, ece, average_precision])
def test_empty_region_is_undefined(score):
    assert score(PROBABILITY, TRUTH, region=np.zeros_like(BRAIN)) is None


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="largest probability"):
        brier(2 * PROBABILITY, TRUTH, region=BRAIN)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="probability has shape"):
        brier(PROBABILITY[:32], TRUTH, region=BRAIN)

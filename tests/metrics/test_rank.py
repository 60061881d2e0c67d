"""Paired tests: undefined values as the worst case, slices and patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mechlearn.metrics.rank import (
    clustered_interval,
    compare_paired,
    patient_medians,
    wilcoxon_worst_case,
)

RNG = np.random.default_rng(0)
B = list(RNG.uniform(5, 15, 24))
A = [b - d for b, d in zip(B, RNG.uniform(-1, 4, 24), strict=True)]
PATIENTS = [f"p{i // 6}" for i in range(24)]


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_without_undefined_values_it_is_wilcoxon(alternative):
    found = wilcoxon_worst_case(A, B, alternative=alternative)
    assert found.p_value == pytest.approx(stats.wilcoxon(A, B, alternative=alternative).pvalue)


def test_swapping_the_arms_keeps_the_two_sided_p():
    assert wilcoxon_worst_case(A, B).p_value == pytest.approx(wilcoxon_worst_case(B, A).p_value)


def test_vanished_predictions_make_a_method_worse():
    gone = [None, None, None, *A[3:]]
    better, worse = (wilcoxon_worst_case(a, B, alternative="less") for a in (A, gone))
    assert worse.p_value > better.p_value
    assert worse.n_undefined_a == 3


def test_undefined_outranks_every_other_difference():
    a, b = [None, 0.0, 0.0, 0.0], [99.0, 1.0, 2.0, 100.0]
    ranks_lost = 4  # the undefined pair has the largest of four ranks, on the other side
    assert wilcoxon_worst_case(a, b).statistic == min(ranks_lost, 10 - ranks_lost)


def test_undefined_is_the_worst_where_higher_is_better():
    dice_a, dice_b = [None, 0.9, 0.8, 0.85], [0.1, 0.5, 0.45, 0.3]
    found = wilcoxon_worst_case(dice_a, dice_b, higher_is_better=True)
    assert found.statistic == 4


def test_both_undefined_is_no_difference():
    with_pair = wilcoxon_worst_case([*A, None], [*B, None])
    assert with_pair.p_value == pytest.approx(wilcoxon_worst_case(A, B).p_value)


@pytest.mark.parametrize(("a", "b"), [([1.0, 2.0], [1.0, 2.0]), ([], []), ([None], [None])])
def test_no_difference_has_no_p_value(a, b):
    assert wilcoxon_worst_case(a, b).p_value is None


def test_median_difference_is_over_defined_pairs():
    assert wilcoxon_worst_case([1.0, None, 4.0], [3.0, 1.0, 5.0]).median_difference == -1.5


def test_pairs_are_needed():
    with pytest.raises(ValueError, match="a has 1 values and b 2"):
        wilcoxon_worst_case([1.0], [1.0, 2.0])


def test_patient_medians_take_undefined_as_worst():
    values = [1.0, 2.0, None, 1.0, None, None]
    medians = patient_medians(values, ["a", "a", "a", "b", "b", "b"])
    assert medians == {"a": 2.0, "b": None}


def test_comparison_over_patients_has_one_pair_a_patient():
    found = compare_paired(A, B, PATIENTS)
    assert (found.slices.n, found.patients.n) == (24, 4)
    per_patient = [
        [np.median(np.reshape(values, (4, 6))[i]) for i in range(4)] for values in (A, B)
    ]
    assert found.patients.p_value == pytest.approx(stats.wilcoxon(*per_patient).pvalue)


def test_undefined_medians_are_worst_also_where_higher_is_better():
    a, b = [None, None, 0.2, 0.9], [0.1, 0.2, 0.3, 0.8]
    found = compare_paired(a, b, ["p", "p", "q", "r"], higher_is_better=True)
    assert found.patients.n_undefined_a == 1
    assert found.patients.statistic == pytest.approx(1.5)  # -worst, and a tie of -0.1 and +0.1


def test_interval_holds_the_estimate_and_is_reproducible():
    first, again = (
        clustered_interval(A, PATIENTS, rng=np.random.default_rng(1), n_resamples=300)
        for _ in range(2)
    )
    assert first == again
    assert first.low <= first.estimate <= first.high
    assert first.n_patients == 4


def test_clustering_widens_the_interval():
    shifted = [a + 10 * (i // 6) for i, a in enumerate(A)]
    clustered, independent = (
        clustered_interval(shifted, names, rng=np.random.default_rng(1), n_resamples=500)
        for names in (PATIENTS, [str(i) for i in range(24)])
    )
    assert clustered.high - clustered.low > 1.3 * (independent.high - independent.low)


def test_one_patient_has_no_spread():
    found = clustered_interval(A, ["p"] * 24, rng=np.random.default_rng(1), n_resamples=50)
    assert found.low == found.high == found.estimate


def test_interval_that_reaches_undefined_values_is_open():
    values = [1.0, 2.0, 3.0, None, None]
    found = clustered_interval(values, list("abcde"), rng=np.random.default_rng(1))
    assert found.estimate == 3.0
    assert found.high is None
    assert found.n_undefined == 2


def test_mean_refuses_undefined_values():
    with pytest.raises(ValueError, match="1 of 2 values are undefined.*median"):
        clustered_interval([1.0, None], ["a", "b"], rng=np.random.default_rng(1), statistic="mean")

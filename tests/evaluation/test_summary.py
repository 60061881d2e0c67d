from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from mechlearn.evaluation.summary import mean, median, spearman


def test_unknown_values_are_left_out():
    assert mean([1.0, None, 3.0]) == 2.0
    assert median([None, 5.0, 1.0, 2.0]) == 2.0


def test_nothing_known_has_no_mean():
    assert mean([None]) is None
    assert median([]) is None


def test_rank_correlation_agrees_with_scipy_on_ties():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 60).astype(float)
    b = a + rng.integers(-2, 3, 60)
    assert spearman(list(a), list(b)) == pytest.approx(spearmanr(a, b).statistic)


def test_no_spread_has_no_rank_correlation():
    assert spearman([1, 2, 3, 4], [1, 1, 1, 1]) is None
    assert spearman([1, 2], [1, 2]) is None

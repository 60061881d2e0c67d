from __future__ import annotations

import numpy as np
import pytest

from mechlearn.metrics.realism import brain_range, drawn_realism, intensity_distance


def setting():
    rng = np.random.default_rng(0)
    scan = rng.uniform(-1, 0, (4, 40, 40)).astype(np.float32)
    before, after = np.zeros((2, 40, 40), np.uint8)
    before[15:25, 15:25] = after[12:28, 12:28] = 2
    scan[:, before > 0] = rng.uniform(0.4, 0.6, (4, 100))
    return scan, before, after, np.ones((40, 40), bool)


def test_the_patients_own_values_are_at_no_distance():
    scan, before, after, brain = setting()
    drawn, new = scan.copy(), (after > 0) & (before == 0)
    values = scan[:, before > 0]
    drawn[:, new] = values[:, np.arange(new.sum()) % 100]
    real = drawn_realism(drawn, scan, before, after, brain)
    assert max(real.distance) < 0.01
    assert real.darkened == (0, 0, 0, 0)
    assert real.outside_changed == 0


def test_nothing_drawn_scores_as_untouched():
    scan, before, after, brain = setting()
    real = drawn_realism(scan, scan, before, after, brain)
    assert real.distance == real.untouched
    assert min(real.distance) > 0.3


def test_darker_pixels_and_changes_outside_are_counted():
    scan, before, after, brain = setting()
    drawn, new = scan.copy(), (after > 0) & (before == 0)
    drawn[3, new] -= 0.5
    drawn[:, :4] += 0.5
    real = drawn_realism(drawn, scan, before, after, brain)
    assert real.darkened == (0, 0, 0, 1)
    assert real.outside_changed > 0.1


def test_a_few_pixels_tell_nothing():
    scan, before, _, brain = setting()
    after = before.copy()
    after[14, 15] = 2
    assert drawn_realism(scan, scan, before, after, brain).distance is None


def test_distance_of_a_shift_is_the_shift_over_the_range():
    values = np.random.default_rng(0).normal(size=(2, 50))
    found = intensity_distance(values, values + 1, np.array([2.0, 4.0]))
    assert found == pytest.approx((0.5, 0.25))


def test_the_brains_range_leaves_extremes_out():
    image = np.linspace(0, 100, 10_000).reshape(1, 100, 100)
    assert brain_range(image, np.ones((100, 100), bool)) == pytest.approx([98], abs=0.1)

"""Methods beside a baseline: signs, clusters, undefined distances."""

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.evaluation.baseline_comparison import agreement, beside, methods_of, table

TRUTH = np.zeros((20, 20), bool)
TRUTH[5:12, 5:12] = True


def moved(by):
    return np.roll(TRUTH, by, axis=0)


def rows(**masks):
    row = agreement({"dilation": moved(3), **masks}, TRUTH, (1.5, 1.5))
    return [{"patient": f"P{i}", **row} for i in (0, 0, 1)]


def test_nearer_masks_gain_in_both_scores():
    found = beside(rows(order=moved(1)))
    assert found["dice_order_gain"] == pytest.approx(2 / 7)
    assert found["hd95_order_mm_gain"] == pytest.approx(3.0)
    assert found["dice_order_gain_share_better"] == found["hd95_order_mm_gain_share_better"] == 1
    assert (found["n_slices"], found["n_patients"]) == (3, 2)


def test_an_interval_is_over_patients_not_slices():
    good, bad = rows(order=moved(1)), rows(order=moved(4))
    mixed = [{**row, "patient": "good"} for row in good] + [{**row, "patient": "bad"}
                                                            for row in bad]
    found = beside(mixed)
    assert found["dice_order_gain_low"] < 0 < found["dice_order_gain_high"]


def test_an_empty_mask_has_no_gain_in_distance_and_is_counted():
    found = beside(rows(order=moved(1))[:2] + rows(order=np.zeros_like(TRUTH))[2:])
    assert found["hd95_order_mm_n_undefined"] == 1
    assert found["hd95_order_mm_gain"] is None
    assert found["dice_order_gain"] is not None


def test_a_method_of_some_slices_is_compared_on_those():
    some = rows(order=moved(1))[:1] + rows()[1:]
    assert beside(some)["dice_order_gain"] == pytest.approx(2 / 7)


def test_a_baseline_nobody_scored_is_refused():
    with pytest.raises(ValueError, match=r"baseline='heat'.*dilation"):
        beside(rows(), baseline="heat")


def test_every_method_has_a_line():
    found = rows(order=moved(1))
    lines = table(beside(found), methods_of(found)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| dilation", "| order"]
    assert "+0.2857 (+0.2857 to +0.2857)" in lines[3]

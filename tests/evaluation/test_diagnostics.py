import numpy as np
import pytest

from mechlearn.evaluation.diagnostics import picture_row


def test_an_unchanged_picture_has_no_drift(synthetic):
    scan = synthetic.make_slice(0.0, 6.0)
    row = picture_row(scan, scan.image)
    assert row["ssim_outside"] == pytest.approx(1.0)
    assert (row["drift_outside"], row["hyperintense_fraction"]) == (0.0, 0.0)


def test_change_far_from_the_tumour_is_drift_and_in_it_is_not(synthetic):
    scan = synthetic.make_slice(0.0, 6.0)
    inside, far = scan.image.copy(), scan.image.copy()
    inside[:, scan.tumour] += 0.1
    row, column = np.argwhere(scan.brain)[0]
    far[:, row, column] += 0.1
    assert picture_row(scan, inside)["change_inside_share"] == pytest.approx(1.0)
    assert picture_row(scan, far)["change_inside_share"] == pytest.approx(0.0)
    assert picture_row(scan, far)["drift_outside"] > 0


def test_a_pixel_brighter_than_the_reference_is_hyperintense(synthetic):
    scan = synthetic.make_slice(0.0, 6.0)
    bright = scan.image.copy()
    bright[scan.contrasts.index("t2f"), scan.tumour] = 2.0
    share = scan.tumour.sum() / scan.brain.sum()
    assert picture_row(scan, bright)["hyperintense_fraction"] == pytest.approx(share)

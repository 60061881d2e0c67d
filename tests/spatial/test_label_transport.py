from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.spatial.label_transport import transported_labels


def disc(radius: float, side: int = 41) -> np.ndarray:
    rows, columns = np.indices((side, side)) - side // 2
    return rows**2 + columns**2 <= radius**2


def tumour() -> np.ndarray:
    labels = np.zeros((41, 41), np.uint8)
    for radius, label in ((10, 2), (6, 3), (4, 1)):
        labels[disc(radius)] = label
    return labels


BRAIN = np.ones((41, 41), bool)


def test_the_target_is_filled_and_nothing_else():
    for radius in (5, 10, 14):
        out = transported_labels(tumour(), disc(radius), BRAIN)
        assert np.array_equal(out > 0, disc(radius))


def test_what_was_there_stays_and_what_joins_is_oedema():
    out = transported_labels(tumour(), disc(14), BRAIN, inner=0.0)
    assert np.array_equal(out[disc(10)], tumour()[disc(10)])
    assert (out[disc(14) & ~disc(10)] == 2).all()


def test_without_oedema_the_nearest_surface_label_spreads():
    labels = np.where(disc(8), 1, 0).astype(np.uint8)
    labels[:, 21:][disc(8)[:, 21:]] = 3
    out = transported_labels(labels, disc(12), BRAIN)
    assert (out[20, 8:12] == 1).all()
    assert (out[20, 30:33] == 3).all()


def test_inner_growth_keeps_the_share_of_core_and_enhancing_tumour():
    before, after = tumour(), transported_labels(tumour(), disc(14), BRAIN, inner=1.0)
    share = [np.isin(x, (1, 3)).sum() / (x > 0).sum() for x in (before, after)]
    assert share[1] == pytest.approx(share[0], rel=0.1)
    assert (after == 1).sum() > (before == 1).sum()  # the rim keeps its width


def test_a_cavity_stays_unless_the_tumour_fills_it():
    labels = tumour()
    labels[2:5, 2:5] = 4
    assert (transported_labels(labels, disc(12), BRAIN)[2:5, 2:5] == 4).all()
    filled = disc(12)
    filled[2:5, 2:5] = True
    assert (transported_labels(labels, filled, BRAIN)[2:5, 2:5] == 2).all()


def test_the_target_outside_the_brain_is_left_out():
    brain = ndimage.binary_dilation(disc(11))
    assert np.array_equal(transported_labels(tumour(), disc(18), brain) > 0, brain)


def test_a_slice_without_tumour_is_refused():
    with pytest.raises(ValueError, match="no tumour"):
        transported_labels(np.zeros((41, 41), np.uint8), disc(5), BRAIN)


def test_in_space_core_grows_along_the_short_voxel_sides_first():
    labels = np.full((5, 7, 7), 2, np.uint8)
    labels[2, 3, 3] = 3
    target = np.ones((5, 7, 7), bool)
    labels[0], labels[-1] = 0, 0  # grows from 3 slices to 5: two thirds more
    labels[2, 3, 2:5] = 3
    out = transported_labels(labels, target, target, inner=1.0, spacing_mm=(5.0, 1.0, 1.0))
    assert (out == 3).sum() > 3
    assert not (np.delete(out, 2, axis=0) == 3).any()

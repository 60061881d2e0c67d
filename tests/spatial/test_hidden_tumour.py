from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.spatial.hidden_tumour import faded_px, inpainting_task, known_pixels
from mechlearn.spatial.label_transport import transported_labels

BRAIN = np.ones((41, 41), bool)


def disc(radius: float) -> np.ndarray:
    rows, columns = np.indices((41, 41)) - 20
    return rows**2 + columns**2 <= radius**2


def tumour() -> np.ndarray:
    labels = np.zeros((41, 41), np.uint8)
    for radius, label in ((10, 2), (6, 3), (4, 1)):
        labels[disc(radius)] = label
    return labels


def test_equal_labels_leave_everything_known():
    assert (known_pixels(tumour(), tumour(), BRAIN) == 1).all()


def test_new_tumour_is_hidden_its_old_border_doubtful_and_the_rest_known():
    after = transported_labels(tumour(), disc(15), BRAIN, inner=0.0)
    known = known_pixels(tumour(), after, BRAIN, outer_px=0)
    assert (known[disc(15) & ~disc(10)] == 0).all()
    assert (known[disc(10) & ~disc(7)] == 0.5).all()
    assert (known[disc(4) | ~disc(15)] == 1).all()


def test_a_margin_around_the_new_tumour_is_hidden_with_it():
    after = transported_labels(tumour(), disc(15), BRAIN, inner=0.0)
    brain = BRAIN.copy()
    brain[:, 36:] = False
    known = known_pixels(tumour(), after, brain, outer_px=1)
    assert known[20, 4] == 0
    assert known[20, 3] == 1
    assert known[20, 36] == 1  # outside the brain there is nothing to paint


def test_another_label_within_the_tumour_is_hidden_and_a_tumour_that_leaves_is_not():
    after = tumour()
    after[disc(5) & (after == 3)] = 1
    after[~disc(8)] = 0
    known = known_pixels(tumour(), after, BRAIN)
    assert np.array_equal(known == 0, disc(5) & ~disc(4))
    assert (known[disc(10) & ~disc(8)] == 1).all()


def test_the_border_is_hidden_as_deep_as_asked():
    after = transported_labels(tumour(), disc(15), BRAIN, inner=0.0)
    known = known_pixels(tumour(), after, BRAIN, border_px=2)
    assert (known[disc(10) & ~disc(9)] == 0).all()
    assert known[20, 20 + 10 - 4] == 0.5


@pytest.mark.parametrize(("shares", "found"), [((), 0), ((0.4,), 1), ((0.2, 0.6), 2)])
def test_a_border_is_faint_as_deep_as_it_has_less_than_its_share(shares, found):
    rng = np.random.default_rng(0)
    labels = np.where(disc(14), 2, 0).astype(np.uint8)
    image = rng.normal(-0.5, 0.02, (2, 41, 41))
    image[:, disc(14)] += 1.0
    depth = ndimage.distance_transform_edt(labels > 0)
    for step, share in enumerate(shares, 1):
        image[:, (depth > step - 1) & (depth <= step)] -= 1 - share
    assert faded_px(image, labels, BRAIN, faint_share=0.65) == found
    assert faded_px(image, np.zeros_like(labels), BRAIN, faint_share=0.65) == 0


@pytest.mark.parametrize("seed", range(8))
def test_what_is_hidden_in_training_is_part_of_the_tumour_and_its_margin(seed):
    rows, columns = np.indices((64, 64)) - 32
    tumour = np.hypot(rows, columns) <= 14
    brain = np.hypot(rows, columns) <= 28
    labels = np.where(tumour, 2, 0)
    known, fading = inpainting_task(labels, brain, np.random.default_rng(seed))
    assert set(np.unique(known)) <= {0.0, 0.5, 1.0}
    hidden = known == 0
    assert 0 < hidden[tumour].mean() < 1
    assert not hidden[np.hypot(rows, columns) > 17].any()
    assert ((fading > 0) == (known == 0.5)).all()
    same = inpainting_task(labels, brain, np.random.default_rng(seed))
    assert np.array_equal(known, same[0])


def test_without_tumour_a_part_of_the_brain_is_hidden_and_without_brain_nothing():
    brain = np.ones((32, 32), bool)
    known, _ = inpainting_task(np.zeros((32, 32), int), brain, np.random.default_rng(0))
    assert 0 < (known == 0).mean() < 0.3
    known, _ = inpainting_task(np.zeros((32, 32), int), ~brain, np.random.default_rng(0))
    assert (known == 1).all()

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.spatial.first_guess import (
    GuessSpec,
    continued_tumour,
    nearest_texture,
    random_values,
    seen_anatomy,
)
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


def scan() -> np.ndarray:
    image = np.full((2, 41, 41), -0.5, np.float32)
    for value, label in ((0.6, 2), (0.9, 3), (0.1, 1)):
        image[:, tumour() == label] = value
    return image


def test_fine_detail_of_tissue_is_seen_by_its_weight_and_nothing_of_the_tumour():
    image = scan()
    image[:, 20:22, 33:37] -= 0.3  # a dark sulcus in the way of the tumour
    tissue = tumour() == 0
    half, none = (seen_anatomy(image, tissue, GuessSpec(anatomy=w)) for w in (0.5, (0.5, 0.0)))
    assert -0.15 < half[0, 20, 34] < -0.05
    assert np.array_equal(none[0], half[0])
    assert not none[1].any()
    assert not half[:, ~tissue].any()


def test_equal_labels_change_nothing():
    guess, region = continued_tumour(scan(), tumour(), tumour(), BRAIN)
    assert np.array_equal(guess, scan())
    assert not region.any()


def test_deep_new_oedema_takes_the_patients_own_intensity():
    after = transported_labels(tumour(), disc(18), BRAIN)
    guess, region = continued_tumour(scan(), tumour(), after, BRAIN, spec=GuessSpec(edge=0.4))
    ring = disc(12) & ~disc(11)
    assert guess[:, ring] == pytest.approx(0.6, abs=0.03)
    assert region[ring].all()


def test_the_outline_fades_to_the_tissue_around():
    after = transported_labels(tumour(), disc(15), BRAIN)
    guess, _ = continued_tumour(scan(), tumour(), after, BRAIN, spec=GuessSpec(edge=0.4, texture=0))
    assert guess[0, 20, 5] == pytest.approx(-0.5 + 0.6 * 1.1, abs=0.05)


def test_what_leaves_is_the_tissue_around_and_beyond_it_nothing_changes():
    after = transported_labels(tumour(), disc(5), BRAIN)
    guess, region = continued_tumour(scan(), tumour(), after, BRAIN)
    assert guess[:, disc(10) & ~disc(8)] == pytest.approx(-0.5, abs=0.02)
    assert np.array_equal(guess[:, ~region], scan()[:, ~region])


def test_anatomy_is_seen_through_new_oedema():
    image = scan()
    image[:, 20:22, 33:37] -= 0.3  # a dark sulcus in the way of the tumour
    after = transported_labels(tumour(), disc(18), BRAIN)
    contrast = []
    for weight in (0.0, 0.5):
        guess, _ = continued_tumour(image, tumour(), after, BRAIN,
                               spec=GuessSpec(edge=0.0, texture=0.0, anatomy=weight))
        contrast.append(float(guess[0, 17, 34] - guess[0, 20, 34]))
    assert contrast[0] == pytest.approx(0.0, abs=0.02)
    assert 0.05 < contrast[1] < 0.3


def test_each_contrast_fades_by_its_own_share():
    after = transported_labels(tumour(), disc(15), BRAIN)
    guess, _ = continued_tumour(scan(), tumour(), after, BRAIN,
                           spec=GuessSpec(edge=(0.2, 0.6), texture=0.0, anatomy=0.0))
    assert guess[0, 20, 5] - guess[1, 20, 5] == pytest.approx(0.4 * 1.1, abs=0.05)


def test_the_depth_of_the_tumour_is_left_as_it_is():
    image = scan() + np.random.default_rng(0).normal(0, 0.05, (2, 41, 41)).astype(np.float32)
    after = transported_labels(tumour(), disc(16), BRAIN, inner=0.0)
    guess, region = continued_tumour(image, tumour(), after, BRAIN)
    assert np.array_equal(guess[:, disc(5)], image[:, disc(5)])
    assert not region[disc(5)].any()


def test_a_tiny_source_is_continued_however_far():
    before, after = np.zeros((2, 41, 41), np.uint8)
    before[20, 20], after[5:36, 5:36] = 2, 2
    image = scan()
    image[:, 20, 20] = 0.7
    guess, _ = continued_tumour(image, before, after, BRAIN, spec=GuessSpec(edge=0.0, texture=0.0))
    assert guess[:, 6, 6] == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("paint", [nearest_texture, random_values])
def test_rivals_paint_the_new_region_with_values_of_its_label(paint):
    after = transported_labels(tumour(), disc(14), BRAIN)
    options = {"rng": np.random.default_rng(0)} if paint is random_values else {}
    out = paint(scan(), tumour(), after, **options)
    assert (out[:, disc(14) & ~disc(10)] == np.float32(0.6)).all()
    assert np.array_equal(out[:, ~disc(14)], scan()[:, ~disc(14)])

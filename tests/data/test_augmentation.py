from __future__ import annotations

import numpy as np
import pytest
import torch

from mechlearn.data.augmentation import augmented
from mechlearn.data.augmentation_spec import AugmentationSpec

ALL = AugmentationSpec(crop_px=32, spatial=1.0, curves=1.0, bias=1.0, blur=0.5, noise=0.5)


def batch(draws=(0, 1, 2)):
    rng = np.random.default_rng(0)
    count, side = len(draws), 48
    brain = torch.zeros(count, 1, side, side)
    brain[:, :, 8:40, 8:40] = 1
    labels = torch.zeros(count, side, side, dtype=torch.long)
    labels[:, 20:26, 20:26] = 2
    labels[:, 22:24, 22:24] = 3
    image = torch.from_numpy(rng.uniform(-1, 1, (count, 4, side, side)).astype(np.float32))
    image = torch.where(brain > 0, image, -1.0)
    tumour = (labels > 0).float()[:, None]
    fraction = tumour.flatten(1).sum(1) / brain.flatten(1).sum(1)
    return {"image": image, "labels": labels, "brain": brain, "tumour": tumour,
            "present": torch.ones(count, 4), "fraction": fraction, "draw": list(draws)}


def test_defaults_leave_a_batch_as_it_is():
    plain = batch()
    assert augmented(plain, AugmentationSpec(), seed=0) is plain


def test_a_draw_is_changed_alike_in_any_batch():
    whole = augmented(batch((5, 6, 7)), ALL, seed=1)
    part = {k: v[1:2] for k, v in batch((5, 6, 7)).items()}
    alone = augmented(part, ALL, seed=1)
    assert torch.allclose(alone["image"][0], whole["image"][1], atol=1e-5)
    assert torch.equal(alone["labels"][0], whole["labels"][1])


def test_background_stays_and_intensities_stay_in_range():
    out = augmented(batch(), ALL, seed=0)
    outside = (out["brain"] == 0).expand_as(out["image"])
    assert (out["image"][outside] == -1).all()
    assert out["image"].abs().max() <= 1


def test_a_crop_alone_keeps_every_pixel():
    out = augmented(batch(), AugmentationSpec(crop_px=32), seed=0)
    first = batch()["image"][0]
    windows = first.unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    # The bicubic weights of a whole pixel are 1 and 0 to rounding.
    assert (windows - out["image"][0]).abs().amax((1, 2, 3)).min() < 1e-4


def test_intensity_curves_keep_the_order_of_intensities():
    spec = AugmentationSpec(curves=1.0, gain=0.0)
    out = augmented(batch(), spec, seed=0)
    before, after = (x["image"][0, 0][x["brain"][0, 0] > 0] for x in (batch(), out))
    assert (after[before.argsort()].diff() >= -1e-6).all()


def test_fractions_are_those_of_the_changed_masks():
    out = augmented(batch(), ALL, seed=0)
    areas = out["tumour"].flatten(1).sum(1) / out["brain"].flatten(1).sum(1)
    assert torch.equal(out["fraction"], areas)


@pytest.mark.parametrize("key", ["spatial", "curves", "bias", "blur", "noise"])
def test_a_probability_above_one_is_refused(key):
    with pytest.raises(ValueError, match=f"augment.{key}"):
        AugmentationSpec(**{key: 1.5})

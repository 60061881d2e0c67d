"""Labels of slices by a trained segmenter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mechlearn.agreement import dice
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.label_segmenter import (
    label_probabilities,
    load_label_segmenter,
    packaged_segmenter,
    segmented,
    share_found,
    tumour_area_mm2,
)
from mechlearn.models.checkpoint_files import packaged
from mechlearn.models.checkpoints import LoadedModel, make_card
from mechlearn.models.network_targets import build_network
from mechlearn.records import CONTRASTS, AxialSlice

SPEC = {"_target_": "mechlearn.models.label_networks.LabelSegmenter", "contrasts": 4,
        "features": [4, 4, 4, 4, 4, 4], "dropout": 0.0}


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    card = {"contrasts": list(CONTRASTS), "size": 40, "pixel_mm": 1.5, "intensity": {}}
    torch.manual_seed(0)
    network = build_network(SPEC).eval().requires_grad_(False)
    return LoadedModel(network, make_card("label_segmenter", SPEC, NoiseSchedule(), card))


@pytest.fixture
def scan() -> AxialSlice:
    brain = np.zeros((40, 40), bool)
    brain[5:35, 5:35] = True
    labels = np.zeros((40, 40), np.uint8)
    labels[10:20, 10:20] = 2
    image = np.where(brain, np.random.default_rng(0).uniform(-0.9, 0.5, (4, 40, 40)), -1.0)
    return AxialSlice("P", "0", 0.0, 3, image.astype(np.float32), labels, brain, (1.5, 1.5))


def test_probabilities_add_up_and_nothing_is_found_outside_the_brain(model, scan):
    found = label_probabilities(scan.image[None], scan.brain[None], model=model)
    assert found.shape == (1, 4, 40, 40)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    assert (found[0, 0][~scan.brain] == 1).all()


def test_a_mirrored_slice_has_mirrored_labels(model, scan):
    image, brain = (np.pad(x, [(0, 0)] * (x.ndim - 2) + [(4, 4), (4, 4)],
                           constant_values=x.ravel()[0]) for x in (scan.image, scan.brain))
    one = label_probabilities(image[None], brain[None], model=model)
    other = label_probabilities(image[None, ..., ::-1], brain[None, ..., ::-1], model=model)
    np.testing.assert_allclose(one, other[..., ::-1], atol=1e-5)


def test_an_unchanged_picture_has_the_area_of_the_mask(model, scan):
    assert tumour_area_mm2(scan, scan.image, model=model) == scan.tumour_area_mm2
    network = model.module
    bias = network.unet.final_conv.bias.clone()
    network.unet.final_conv.bias[0] += 100  # no tumour anywhere
    assert tumour_area_mm2(scan, scan.image, model=model) is None
    network.unet.final_conv.bias.copy_(bias)


def test_a_checkpoint_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"checkpoints\.segmenter=.*this checkpoint is a ddpm"):
        load_label_segmenter(packaged("ddpm"))


def test_the_packaged_segmenter_serves_its_own_contrasts_and_pixels_alone():
    assert packaged_segmenter(CONTRASTS, 1.5) is not None
    assert packaged_segmenter(CONTRASTS, 1.0) is None
    assert packaged_segmenter(("t2f",), 1.5) is None


@pytest.mark.slow
def test_the_packaged_segmenter_finds_real_tumours(largest_real_slice):
    for case in ("01476", "01477", "01478"):
        real = largest_real_slice(case)
        middle = 2 * round(float(np.argwhere(real.brain)[:, 1].mean())) + 1 - real.brain.shape[1]
        mirrored = np.roll(real.labels[:, ::-1], middle, axis=1) * real.brain
        assert share_found([real], model=load_label_segmenter()) > 0.8
        assert share_found([replace(real, labels=mirrored)], model=load_label_segmenter()) < 0.1
        found = segmented(real, real.image[None], model=load_label_segmenter())[0]
        assert dice(found > 0, real.tumour) > 0.8

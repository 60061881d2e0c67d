from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.scan_drawing import (
    draw_slice,
    draw_slices,
    judge_picture,
    load_drawer,
)
from mechlearn.evaluation.slice_guess import first_guess, growing_room
from mechlearn.models.checkpoints import LoadedModel, make_card
from mechlearn.models.network_targets import build_network
from mechlearn.records import CONTRASTS, AxialSlice
from mechlearn.spatial.first_guess import GuessSpec

SIDE = 96
NETWORK = {
    "_target_": "mechlearn.models.label_networks.LabelDenoiser", "contrasts": 4, "width": 8,
    "channels": [8, 16], "attention_levels": [False, False], "norm_num_groups": 4,
    "inpainter": [8, 8, 8, 8, 8, 8],
}


def disc(radius: float) -> np.ndarray:
    return np.hypot(*(np.indices((SIDE, SIDE)) - SIDE // 2)) <= radius


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    data = {"contrasts": list(CONTRASTS), "size": SIDE, "pixel_mm": 1.5, "intensity": {}}
    card = make_card("ddpm", NETWORK, NoiseSchedule(), data)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LoadedModel(build_network(NETWORK).eval(), card, "a test's")


@pytest.fixture(scope="module")
def scan() -> AxialSlice:
    rng = np.random.default_rng(0)
    brain = disc(40)
    image = rng.normal(-0.3, 0.03, (4, SIDE, SIDE))
    labels = np.where(disc(10), 2, 0).astype(np.uint8)
    image[2:, disc(10)] += 0.9
    image = np.where(brain, image, -1).astype(np.float32)
    return AxialSlice("p", "0", 0.0, 7, image, labels, brain, (1.5, 1.5))


def test_the_labels_fill_the_target_and_the_rest_of_the_scan_comes_back(scan, model):
    drawn = draw_slice(scan, disc(16), model=model)
    assert np.array_equal(drawn.labels > 0, disc(16))
    assert np.array_equal(drawn.image[:, ~disc(22)], scan.image[:, ~disc(22)])
    assert not np.array_equal(drawn.image[:, disc(16)], scan.image[:, disc(16)])


def test_a_slice_is_drawn_alike_beside_any_others(scan, model):
    alone = draw_slice(scan, disc(16), model=model, seed=3)
    among = draw_slices(scan, [disc(20), disc(16)], model=model, seed=3)[1]
    assert np.array_equal(alone.image, among.image)
    other = draw_slice(scan, disc(16), model=model, seed=4)
    assert not np.array_equal(alone.image, other.image)


def test_the_present_mask_changes_nothing(scan, model):
    assert np.array_equal(draw_slice(scan, scan.tumour, model=model).image, scan.image)


def test_a_tumour_does_not_grow_into_csf(scan, model):
    ventricle = np.zeros((SIDE, SIDE), bool)
    ventricle[44:52, 60:66] = True
    image = scan.image.copy()
    image[0, ventricle], image[2, ventricle], image[3, ventricle] = -0.9, 0.9, -0.9
    wet = replace(scan, image=image)
    assert not growing_room(wet)[46:50, 62:64].any()
    drawn = draw_slice(wet, disc(18), model=model)
    assert not drawn.labels[46:50, 62:64].any()
    assert np.array_equal(drawn.image[:, 46:50, 63], image[:, 46:50, 63])
    assert drawn.labels[disc(18) & ~ventricle].mean() > 1.5  # oedema nearly everywhere else


def test_a_label_map_is_taken_as_it_is(scan, model):
    wanted = np.where(disc(14), 2, 0).astype(np.uint8)
    wanted[disc(5)] = 3
    assert np.array_equal(draw_slice(scan, wanted, model=model).labels, wanted)


def test_figures_tell_the_size_and_the_distance_in_brain_ranges(scan, model):
    verdict = draw_slice(scan, disc(16), model=model).verdict
    assert verdict.figures["asked_mm2"] == pytest.approx(disc(16).sum() * 2.25)
    assert verdict.figures["untouched_t2f"] > 0.5
    assert verdict.scan is None  # this model's card holds no ranges


def test_a_picture_of_no_tumour_is_marked(scan, model):
    """A first guess of zero texture and a model that drew nothing would look like this."""
    dark = scan.image.copy()
    dark[:, scan.tumour] = -0.8  # its own tumour is darker than tissue: what joins must darken
    verdict = draw_slice(replace(scan, image=dark), disc(16), model=model).verdict
    assert not verdict.is_good
    assert "darker in FLAIR" in verdict.words


def test_a_slice_with_a_few_pixels_of_tumour_is_named(scan, model):
    tiny = replace(scan, labels=np.where(disc(2), 2, 0).astype(np.uint8))
    verdict = draw_slice(tiny, disc(8), model=model).verdict
    assert "too little tumour (13 pixels)" in verdict.words
    assert "too little" not in draw_slice(tiny, disc(2), model=model).verdict.words


def test_black_bands_and_stripes_of_any_method_are_named(scan):
    grown = np.where(disc(16), 2, 0).astype(np.uint8)
    bands = scan.image.copy()
    bands[:, disc(16) & ~disc(12)] = -0.9
    bands[:, disc(30) & ~disc(26)] = 0.9
    verdict = judge_picture(scan, bands, grown)
    assert "became darker in FLAIR" in verdict.words
    assert "of the brain outside the tumour changed" in verdict.words


def test_another_grid_is_refused(scan, model):
    with pytest.raises(ValueError, match="Prepare the scan on the model's grid"):
        draw_slice(replace(scan, spacing_mm=(1.0, 1.0)), disc(16), model=model)


def test_what_leaves_is_the_tissue_around_and_beyond_the_change_nothing_is_painted(scan, model):
    smaller = np.where(disc(6), 2, 0).astype(np.uint8)
    guess, region = first_guess(scan, smaller, model=model)
    assert region[disc(10) & ~disc(6)].all()
    assert guess[3, disc(9) & ~disc(7)] == pytest.approx(-0.3, abs=0.05)
    assert np.array_equal(guess[:, ~region], scan.image[:, ~region])


def test_a_first_guess_does_not_see_what_it_replaces(scan, model):
    """Values of pixels that become tumour have no influence but by the weighted anatomy."""
    grown = np.where(disc(16), 2, 0).astype(np.uint8)
    other = scan.image.copy()
    other[:, disc(16) & ~disc(11)] = 0.4
    blind = GuessSpec(anatomy=0.0, inpainted=1.0)
    first, second = (
        first_guess(replace(scan, image=image), grown, model=model, spec=blind)[0]
        for image in (scan.image, other)
    )
    assert np.array_equal(first[:, disc(16) & ~disc(11)], second[:, disc(16) & ~disc(11)])


def test_a_denoiser_without_an_inpainter_continues_the_tumour_alone(scan, model):
    grown = np.where(disc(16), 2, 0).astype(np.uint8)
    network = {k: v for k, v in NETWORK.items() if k != "inpainter"}
    plain = replace(model, module=build_network(network).eval())
    alone = first_guess(scan, grown, model=plain)
    unmixed = first_guess(scan, grown, model=model, spec=GuessSpec(inpainted=0.0))
    mixed = first_guess(scan, grown, model=model)
    assert all(np.array_equal(a, b) for a, b in zip(alone, unmixed, strict=True))
    assert not np.array_equal(mixed[0], alone[0])
    assert draw_slice(scan, grown, model=plain).labels[disc(16)].all()


def test_a_denoiser_without_labels_is_refused():
    with pytest.raises(ValueError, match="has no label conditioning"):
        load_drawer("mechlearn/weights/ddpm.pt")


def test_the_packaged_drawer_knows_ranges_of_scans_and_phantoms():
    assert set(load_drawer().card["guard"]) == {"scans", "phantoms"}

from __future__ import annotations

import numpy as np
import pytest

from mechlearn.diffusion.sampler import SamplerSpec
from mechlearn.evaluation.label_sampler import LabelSampler
from mechlearn.evaluation.model_pair import flair_threshold_of, generate, load_models
from mechlearn.records import AxialSlice, GuidanceTarget

SPEC = SamplerSpec(nl=100, steps=4, guidance="labels", order="travel")


@pytest.fixture(scope="module")
def scan() -> AxialSlice:
    from_centre = np.hypot(*(np.indices((128, 128)) - 64))
    brain, labels = from_centre < 45, np.where(from_centre < 9, 2, 0).astype(np.uint8)
    image = np.random.default_rng(0).normal(-0.3, 0.05, (4, 128, 128))
    image[2:, labels > 0] += 0.8
    image = np.where(brain, image, -1).astype(np.float32)
    return AxialSlice("p", "0", 0.0, 7, image, labels, brain, (1.5, 1.5))


def test_sizes_are_drawn_by_order_and_the_rest_of_the_scan_comes_back(scan):
    bundle = load_models(spec=SPEC)
    assert isinstance(bundle.sampler, LabelSampler)
    wanted = [GuidanceTarget(f * scan.tumour_fraction) for f in (1.5, 2.5)]
    small, large = generate(bundle.sampler, scan, wanted, seed=0)
    changed = [(np.abs(g.image.numpy() - scan.image) > 0.05).any(0) for g in (small, large)]
    assert changed[0].sum() < changed[1].sum()
    far = np.hypot(*(np.indices((128, 128)) - 64)) > 35
    assert np.array_equal(large.image.numpy()[:, far], scan.image[:, far])
    flair = [g.image.numpy()[3][changed[0]].mean() for g in (small, large)]
    assert min(flair) > scan.image[3][changed[0]].mean()


def test_it_stands_beside_the_row_of_a_guided_sampler():
    row = load_models(spec=SPEC).row
    assert row["guidance"] == "labels"
    assert row["noise_level"] == 100


def test_a_guided_pair_is_refused_for_labels():
    with pytest.raises(ValueError, match="has no label conditioning"):
        load_models("mechlearn/weights/ddpm.pt", spec=SPEC)


def test_a_correction_brings_the_measured_size_nearer(scan):
    bundle = load_models(spec=SPEC)
    assert isinstance(bundle.sampler, LabelSampler)
    target, flair = GuidanceTarget(2 * scan.tumour_fraction), flair_threshold_of(scan)
    once, twice = (
        LabelSampler(bundle.denoiser, bundle.guide, SPEC, corrections=n).draw(
            scan, [target], seed=0
        )[0].image.numpy()
        for n in (0, 1)
    )
    wrong = [abs(flair.fraction(x) / target.tumour_fraction - 1) for x in (once, twice)]
    assert wrong[1] < wrong[0]

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.evaluation.scan_guard import fit_ranges, judge_scan, scan_statistics
from mechlearn.records import AxialSlice

SCHEDULE = NoiseSchedule()


def blind(x_l, l):
    """A denoiser that takes every image for a grey one."""
    scale = (1 - SCHEDULE.alpha_bar(l)).sqrt().reshape(-1, 1, 1, 1)
    return x_l / scale


def scan(seed: int) -> AxialSlice:
    rng = np.random.default_rng(seed)
    brain = np.hypot(*(np.indices((48, 48)) - 24)) < 18
    tissue = ndimage.gaussian_filter(rng.standard_normal((48, 48)), 3)
    tissue = 0.4 * tissue / tissue.std()
    image = np.stack([tissue, tissue - 0.2, -tissue, -0.5 * tissue])
    image += rng.normal(0, 0.02, image.shape)
    image[:, 34:38, 20:28] += np.array([-1, -0.5, 1.5, -0.5])[:, None, None]  # CSF
    labels = np.zeros((48, 48), np.uint8)
    labels[20:28, 20:28] = 2
    image[2:, labels == 2] += 0.6
    image = np.where(brain, np.clip(image, -1, 1), -1).astype(np.float32)
    return AxialSlice(f"p{seed}", "0", 0.0, 0, image, labels, brain, (1.5, 1.5))


def statistics(item: AxialSlice) -> dict[str, float]:
    return scan_statistics(item, blind, schedule=SCHEDULE)


@pytest.fixture(scope="module")
def groups():
    return {"scans": fit_ranges([statistics(scan(s)) for s in range(40)],
                                [statistics(scan(s)) for s in range(40, 60)], pass_share=1.0)}


def test_a_scan_of_the_same_kind_is_familiar(groups):
    verdict = judge_scan(statistics(scan(41)), groups)
    assert verdict.is_familiar
    assert verdict.reason == ""


@pytest.mark.parametrize("channel", range(4))
def test_an_empty_contrast_is_named(groups, channel):
    image = scan(41).image.copy()
    image[channel] = -1
    verdict = judge_scan(statistics(replace(scan(41), image=image)), groups)
    assert not verdict.is_familiar
    assert f"has no {('t1n', 't1c', 't2w', 't2f')[channel]}" in verdict.reason


def test_swapped_and_inverted_contrasts_are_unfamiliar(groups):
    item = scan(41)
    swapped = item.image[[2, 1, 0, 3]]
    inverted = np.where(item.brain, -item.image, -1) * np.array([1, 0, 0, 0])[:, None, None]
    inverted += item.image * np.array([0, 1, 1, 1])[:, None, None]
    for image in (swapped, inverted):
        verdict = judge_scan(statistics(replace(item, image=image.astype(np.float32))), groups)
        assert not verdict.is_familiar
        assert verdict.reason.startswith("This scan differs from")


@pytest.mark.parametrize("channels", [[0, 1, 3, 2], [0, 1, 2, 2]], ids=["exchanged", "t2 twice"])
def test_t2_in_the_place_of_flair_is_named(groups, channels):
    item = scan(41)
    verdict = judge_scan(statistics(replace(item, image=item.image[channels])), groups)
    assert not verdict.is_familiar
    assert "CSF is not brighter in T2 than in FLAIR" in verdict.reason


def test_a_bright_rim_is_unfamiliar(groups):
    item = scan(41)
    rim = item.brain & ~ndimage.binary_erosion(item.brain, iterations=3)
    image = item.image.copy()
    image[:, rim] = 1
    assert not judge_scan(statistics(replace(item, image=image)), groups).is_familiar


def test_a_scan_may_be_like_any_group(groups):
    other = {name: [v + 10 for v in limits] for name, limits in groups["scans"]["ranges"].items()}
    both = {"others": {"ranges": other, "limit": 0.0}, **groups}
    assert judge_scan(statistics(scan(41)), both).is_familiar


def test_a_card_without_ranges_is_refused():
    with pytest.raises(ValueError, match="has no ranges"):
        judge_scan({"median t1n": 0.0}, {})


def test_statistics_repeat(groups):
    assert statistics(scan(1)) == statistics(scan(1))
    assert torch.is_inference_mode_enabled() is False

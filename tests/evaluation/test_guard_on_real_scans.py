"""The packaged guard on a real slice and on what it must not take for one; skipped without data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.diffusion.sampler import SamplerSpec
from mechlearn.evaluation.model_pair import generate, load_models
from mechlearn.evaluation.presets import SAMPLERS
from mechlearn.evaluation.scan_drawing import judge_picture, load_drawer
from mechlearn.evaluation.scan_guard import judge_scan, scan_statistics
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.records import AxialSlice, GuidanceTarget
from mechlearn.spatial.label_transport import transported_labels
from mechlearn.spatial.regions import dilate_to_area

CASE = "01482"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_drawer()


BANDS = "01477"  # the guided pair draws dark bands and a white stripe around its tumour


@pytest.fixture(scope="module")
def scan(largest_real_slice) -> AxialSlice:
    return largest_real_slice(CASE)


def familiar(scan: AxialSlice, model: LoadedModel) -> bool:
    found = scan_statistics(scan, model.epsilon, schedule=model.schedule)
    return judge_scan(found, model.card["guard"]).is_familiar


def swapped(a: int, b: int) -> Callable[[AxialSlice], AxialSlice]:
    def change(scan: AxialSlice) -> AxialSlice:
        image = scan.image.copy()
        image[[a, b]] = image[[b, a]]
        return replace(scan, image=image)

    return change


def inverted(channel: int) -> Callable[[AxialSlice], AxialSlice]:
    def change(scan: AxialSlice) -> AxialSlice:
        image = scan.image.copy()
        image[channel] = np.where(scan.brain, -image[channel], -1)
        return replace(scan, image=image)

    return change


def empty(channel: int) -> Callable[[AxialSlice], AxialSlice]:
    def change(scan: AxialSlice) -> AxialSlice:
        image = scan.image.copy()
        image[channel] = -1
        return replace(scan, image=image)

    return change


def with_skull(scan: AxialSlice) -> AxialSlice:
    """Dark bone and bright scalp around the brain, and the range stretched to them."""
    bone, head = (ndimage.binary_dilation(scan.brain, iterations=n) for n in (3, 8))
    image = np.where(scan.brain, 0.6 * (scan.image + 1) - 1, -1)
    image[:, bone & ~scan.brain], image[:, head & ~bone] = -0.85, 0.8
    return replace(scan, image=image.astype(np.float32), brain=head)


def as_ct(scan: AxialSlice) -> AxialSlice:
    """Four times one picture of nearly equal grey tissue with darker CSF and white bone."""
    head = ndimage.binary_dilation(scan.brain, iterations=3)
    fluid = scan.brain & (scan.image[0] < np.percentile(scan.image[0][scan.brain], 8))
    plane = np.where(scan.brain, np.where(fluid, -0.35, -0.2), np.where(head, 0.95, -1.0))
    plane += np.random.default_rng(0).normal(0, 0.03, plane.shape) * head
    image = np.broadcast_to(plane, scan.image.shape).astype(np.float32)
    return replace(scan, image=image.copy(), brain=head)


def test_a_real_slice_is_familiar(scan, model):
    assert familiar(scan, model)


@pytest.mark.parametrize(
    "change",
    [swapped(0, 2), swapped(1, 3), swapped(2, 3), inverted(0), inverted(1), inverted(2),
     inverted(3), empty(0), empty(1), empty(2), empty(3), with_skull, as_ct],
    ids=["t1-t2", "t1c-flair", "t2-flair", "inverted t1", "inverted t1c", "inverted t2",
         "inverted flair", "no t1", "no t1c", "no t2", "no flair", "skull", "ct"],
)  # fmt: skip
def test_what_is_no_such_scan_is_flagged(scan, model, change):
    assert not familiar(change(scan), model)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "spec", "factor"),
    [(CASE, SamplerSpec(nl=200, steps=12, scale="50k", smooth_px=1.5), 1.5),
     (BANDS, SAMPLERS["fast"], 1.87)],
    ids=["twelve levels", "fast"],
)  # fmt: skip
def test_a_real_scan_under_the_guidance_of_phantom_weights_is_a_failed_picture(
    largest_real_slice, case, spec, factor
):
    """The phantom-trained pair draws bands around a real tumour; the picture must not pass."""
    scan = largest_real_slice(case)
    area = factor * scan.tumour.sum()
    target = GuidanceTarget(float(area / scan.brain.sum()))
    pair = load_models(spec=spec)
    drawn = generate(pair.sampler, scan, [target], seed=0)[0].image.numpy()
    grown = transported_labels(
        scan.labels, dilate_to_area(scan.tumour, scan.brain, area), scan.brain
    )
    assert not judge_picture(scan, drawn, grown).is_good

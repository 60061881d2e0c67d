from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mechlearn.spatial.resolution import ResolutionSpec, as_blurred, blur_px, noise_to_add

BRAIN = np.hypot(*(np.indices((96, 96)) - 48)) <= 44
NO_TUMOUR = np.zeros((96, 96), bool)


def tissue() -> np.ndarray:
    """Noise whose power falls with frequency, as that of a picture does."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96)))
    noise = np.fft.fft2(np.random.default_rng(0).normal(size=(96, 96)))
    return np.fft.ifft2(noise / (frequency + 0.02) ** 1.2).real.astype(np.float32)


def spec_of(image: np.ndarray) -> ResolutionSpec:
    """What is sharp is this image."""
    inside = ndimage.binary_erosion(BRAIN, iterations=5)
    fine, coarse = (ndimage.gaussian_filter1d(image, s, axis=0) for s in (1.0, 3.0))
    return ResolutionSpec({"t1n": float((image - fine)[inside].std()
                                        / (fine - coarse)[inside].std())})


def blurs(image: np.ndarray, spec: ResolutionSpec) -> np.ndarray:
    return blur_px(image[None], BRAIN, NO_TUMOUR, contrasts=("t1n",), spec=spec)[0]


def test_a_sharp_slice_has_no_blur():
    image = tissue()
    assert blurs(image, spec_of(image)).tolist() == [0.0, 0.0]


def test_the_blur_of_one_axis_is_found_on_that_axis():
    image = tissue()
    blurred = ndimage.gaussian_filter1d(image, 1.0, axis=0)
    along_rows, along_columns = blurs(blurred, spec_of(image))
    assert along_rows == pytest.approx(1.0, abs=0.5)
    assert along_columns < 0.4


def test_a_contrast_without_a_reference_counts_as_sharp():
    image = ndimage.gaussian_filter(tissue(), 2)
    assert not blur_px(image[None], BRAIN, NO_TUMOUR, contrasts=("adc",)).any()


def test_what_is_added_keeps_its_sum_when_blurred():
    change = np.zeros((1, 31, 31), np.float32)
    change[0, 15, 15] = 1.0
    spread = as_blurred(change, np.array([[1.0, 0.5]]))
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    assert spread[0, 13, 15] > spread[0, 15, 13]


def noisy(sd: float) -> np.ndarray:
    """A flat contrast with white noise."""
    return np.random.default_rng(1).normal(0, sd, (1, 96, 96)).astype(np.float32)


def test_noise_is_lacking_where_the_slice_has_more_than_a_drawing():
    spec = ResolutionSpec(drawn_noise=0.03)
    (lacking,) = noise_to_add(noisy(0.05), BRAIN, spec=spec)
    assert lacking == pytest.approx(0.04, abs=0.004)  # 0.05^2 = 0.03^2 + 0.04^2


def test_a_quiet_slice_and_a_small_tumour_get_no_noise():
    assert not noise_to_add(noisy(0.02), BRAIN).any()
    assert not noise_to_add(noisy(0.5), NO_TUMOUR).any()

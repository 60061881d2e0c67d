"""float32 against float64: sampler, arrival map, growth map and fits, each within a tolerance.

The tolerance stands in the test, in the unit of the result, beside what it is compared with.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.growth.fit import fit
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.growth.models import GROWTH_MODELS
from mechlearn.models.checkpoints import build_sampler, load_denoiser, load_guide
from mechlearn.models.networks import predicted_noise
from mechlearn.records import GuidanceTarget, Radiotherapy, SizeReading, SizeSeries
from mechlearn.spatial.volume_arrival import ORDERS, volume_arrival

SIZE = 32
IMAGE_TOLERANCE = 1e-5  # of grey values in [-1, 1]; float32 itself resolves 6e-8
DAYS = (0.0, 40.0, 75.0, 120.0, 170.0, 230.0)
AREAS = (803.1, 911.7, 1130.3, 702.9, 655.1, 810.7)


def brain_and_image() -> tuple[torch.Tensor, torch.Tensor]:
    y, x = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2
    brain = torch.tensor(np.hypot(y, 1.2 * x) < 14).double()
    noise = torch.randn(4, SIZE, SIZE, generator=torch.Generator().manual_seed(0)).double()
    image = (0.2 * noise + 0.6 * torch.tensor(np.hypot(y - 4, x - 3) < 4)).clamp(-1, 1)
    return brain[None, None], torch.where(brain > 0, image, -1.0)


@pytest.mark.parametrize("kind", ["segmenter", "regressor"])
def test_sampler(kind: str) -> None:
    """Encoded, guided and decoded by the packaged models, all in one precision."""
    denoiser, guide = load_denoiser("demo"), load_guide("demo", kind=kind)
    brain, image = brain_and_image()
    made = {}
    for kept in (torch.float32, torch.float64):
        network = copy.deepcopy(denoiser.module).to(kept)
        sampler = GuidedSampler(
            lambda x, l, network=network: predicted_noise(network, x, l),
            copy.deepcopy(guide.module).to(kept), schedule=denoiser.schedule,
            spec=SamplerSpec(nl=100, steps=4, scale="50k"), pixel_mm=denoiser.pixel_mm,
        )  # fmt: skip
        encoding, mask = sampler.encode(image.to(kept)), brain.to(kept)
        asked = BatchTarget(torch.tensor([0.05], dtype=kept), mask)
        made[kept] = sampler.denoise(encoding, asked, brain=mask)
        free = sampler.denoise(encoding, None, brain=mask)
    guided = made[torch.float64]
    assert guided.dtype == torch.float64
    assert (made[torch.float32].double() - guided).abs().max() < IMAGE_TOLERANCE
    assert (guided - free).abs().max() > 10 * IMAGE_TOLERANCE  # what guidance does is far larger


def test_equal_seeds_sample_equal_bits_and_others_do_not() -> None:
    """By the packaged models, guided, from noise: from models loaded twice, too."""
    brain, image = brain_and_image()

    def made(seed: int) -> torch.Tensor:
        denoiser, guide = load_denoiser("demo"), load_guide("demo")
        sampler = build_sampler(denoiser, guide, SamplerSpec(nl=100, steps=4, encode="noise"))
        (one,) = sampler.sample(  # fmt: skip
            image.float(), [GuidanceTarget(0.05)], brain=brain[0, 0].float(), seed=seed,
            slice_id="p/1",
        )
        return one.image

    first = made(1)
    assert torch.equal(first, made(1))
    assert not torch.equal(first, made(2))



def head() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Labels, brain and images in float64, no value of which float32 holds exactly."""
    shape = (15, 41, 41)
    z, r, c = np.indices(shape)
    brain = ((z - 7) / 7) ** 2 + ((r - 20) / 19) ** 2 + ((c - 20) / 19) ** 2 <= 1
    labels = np.where((abs(z - 7) <= 1) & (np.hypot(r - 20, c - 16) <= 4), 2, 0).astype(np.uint8)
    rng = np.random.default_rng(1)
    images = {name: np.where(brain, base + 100 * (r > 20) + rng.normal(0, 5, shape), 0)
              for name, base in (("t1n", 600), ("t2w", 300), ("t2f", 300))}  # fmt: skip
    return labels, brain, images


@pytest.mark.parametrize("order", ORDERS)
def test_arrival_and_growth_map(order: str) -> None:
    """At most 1 voxel in 1000 arrives at another size by 1% and more; p differs by at most .02."""
    labels, brain, images = head()
    spacing = (2.0, 1.0, 1.0)
    fine = volume_arrival(labels, brain, images, spacing_mm=spacing, order=order)
    rough = volume_arrival(
        labels, brain, {k: v.astype(np.float32) for k, v in images.items()}, spacing_mm=spacing,
        order=order,
    )  # fmt: skip
    reached = np.isfinite(fine.arrival)
    np.testing.assert_array_equal(reached, np.isfinite(rough.arrival))
    apart = np.abs(rough.arrival[reached] / fine.arrival[reached] - 1)
    assert (apart >= 0.01).mean() <= 0.001
    sizes = forecast_size(dataclasses.replace(series(np.float64), unit="mm3"), 300.0)
    maps = [arrival.growth_map(sizes).probability for arrival in (fine, rough)]
    assert np.abs(maps[0] - maps[1]).max() <= 0.02


def series(kept: type) -> SizeSeries:
    readings = tuple(
        SizeReading(day, float(kept(area))) for day, area in zip(DAYS, AREAS, strict=True)
    )
    return SizeSeries("P/z1", "P", readings, (Radiotherapy(60.0),))


@pytest.mark.parametrize("name", list(GROWTH_MODELS))
def test_fit_of_every_growth_model(name: str) -> None:
    """Sizes rounded to float32 (by 6e-8) move the curve by at most 1e-5 of itself."""
    later = np.linspace(0, 300, 20)
    fine, rough = (fit(series(kept), name) for kept in (np.float64, np.float32))
    assert rough.area(later) == pytest.approx(fine.area(later), rel=1e-5)


def test_learned_forecast() -> None:
    """Its 400 sizes move by at most 1e-5 of themselves."""
    fine, rough = (forecast_size(series(kept), 300.0) for kept in (np.float64, np.float32))
    assert rough.samples == pytest.approx(fine.samples, rel=1e-5)

"""The reference's way that the growth-map benchmark races is the sampler's, target by target."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.networks import Denoiser, Segmenter, predicted_noise
from mechlearn.records import GuidanceTarget
from mechlearn.spatial.otsu_map import growth_map

HERE = Path(__file__).resolve().parents[1] / "experiments" / "benchmarks" / "growth_map"
TARGETS = (0.02, 0.2, 0.5)
SCALE = 500_000.0


def module(name: str) -> ModuleType:
    """A file of the benchmark, which is no package."""
    spec = importlib.util.spec_from_file_location(f"growth_map_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def pair() -> tuple[Denoiser, Segmenter]:
    """Tiny networks whose last layers, zero when new, answer."""
    torch.manual_seed(0)
    shape = {"channels": (8, 8), "attention_levels": (False, False), "num_res_blocks": 1,
             "norm_num_groups": 4}  # fmt: skip
    networks = Denoiser(**shape), Segmenter(**shape)
    for network in networks:
        network.eval().requires_grad_(False)
        for weight in network.unet.out.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return networks


def test_reference_way_is_the_sampler_target_by_target() -> None:
    denoiser, guide = pair()
    rng = np.random.default_rng(0)
    brain = np.zeros((16, 16), bool)
    brain[3:13, 3:13] = True
    x0 = np.where(brain, rng.uniform(-0.5, 0.5, (4, 16, 16)), -1.0).astype(np.float32)

    def epsilon(x_l, l):
        return predicted_noise(denoiser, x_l, l)

    way = module("reference").ReferenceWay(epsilon, guide, NoiseSchedule(), nl=6, scale=SCALE)
    theirs = np.stack([way.generate(x0, target, brain=brain) for target in TARGETS])
    spec = SamplerSpec(nl=6, scale=str(SCALE), invert_iterations=1, batch_size=2)
    made = GuidedSampler(epsilon, guide, schedule=NoiseSchedule(), spec=spec).sample(
        torch.from_numpy(x0), [GuidanceTarget(t) for t in TARGETS], brain=torch.from_numpy(brain))
    assert np.abs(theirs - np.stack([g.image.numpy() for g in made])).max() < 1e-5
    assert np.abs(theirs[0] - theirs[2]).max() > 1e-2  # the targets matter

    same = [replace(g, image=torch.from_numpy(t)) for g, t in zip(made, theirs, strict=True)]
    mapped = growth_map(x0, same, brain=brain, kind="dynamic", spacing_mm=(1.0, 1.0), floor=0.0,
                        median_px=1).probability  # fmt: skip
    np.testing.assert_allclose(way.growth_map(x0, TARGETS, brain=brain), mapped, atol=1e-9)


def test_exact_map_is_the_mean_of_the_masks_at_all_targets() -> None:
    sys.path.insert(0, str(HERE))
    try:
        found = module("arrival").arrival_row(module("cases").synthetic_case(48), rounds=1)
    finally:
        sys.path.remove(str(HERE))
    assert found["arrival_off_masks"] == 0.0

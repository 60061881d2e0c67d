"""The sampler against MONAI's DDIM scheduler and against identities, in float64, every level."""

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.guidance import fraction_and_gradient, guided_epsilon
from mechlearn.diffusion.levels import visited_levels
from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.records import GuidanceTarget

SCHEDULE = NoiseSchedule()
NL = 60


class Net(torch.nn.Module):
    """A rough nonlinear epsilon-model that depends on the level."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.a = torch.nn.Conv2d(2, 6, 3, padding=1).double()
        self.b = torch.nn.Conv2d(6, 2, 3, padding=1).double()

    def forward(self, x, l):
        level = l.double().reshape(-1, 1, 1, 1) / 1000
        return self.b(torch.tanh(self.a(x) * (1 + level)) * (1 - level))


class Size:
    """A rough regressor."""

    def fraction(self, x_l, l, brain):
        kept = torch.sigmoid(3 * x_l.sum(1, keepdim=True) + l.reshape(-1, 1, 1, 1) / 500) * brain
        return kept.sum((1, 2, 3)) / brain.sum()


def scan():
    x0 = torch.randn(2, 12, 12, generator=torch.Generator().manual_seed(1)).double() * 0.3
    brain = torch.zeros(12, 12)
    brain[1:-1, 1:-1] = 1
    return x0, brain


def engine(net, **spec):
    base = {"nl": NL, "invert_iterations": 0, "scale": "3k", "keep_background": False}
    return GuidedSampler(net, Size(), schedule=SCHEDULE, spec=SamplerSpec(**{**base, **spec}))


def oracle():
    """MONAI's scheduler over all levels: its timestep t is our level t + 1."""
    scheduler = DDIMScheduler(num_train_timesteps=1000, schedule="linear_beta", beta_start=1e-4,
                              beta_end=0.02, clip_sample=False, set_alpha_to_one=True)
    scheduler.set_timesteps(1000)
    return scheduler


def test_inversion_is_monais_reversed_step():
    net, scheduler, (x0, _) = Net(), oracle(), scan()
    path = [x.clone() for x in engine(net).encode(x0).x]
    x = path[1]  # MONAI starts at its timestep 0, our level 1
    for t in range(NL - 1):
        epsilon = net(x, torch.tensor([t + 1])).detach()
        x, _ = scheduler.reversed_step(epsilon, t, x)
        torch.testing.assert_close(path[t + 2], x, rtol=0, atol=1e-5)


def test_guided_denoising_is_monais_step_with_the_shifted_epsilon():
    net, scheduler, (x0, brain) = Net(), oracle(), scan()
    mask, target = brain[None, None], 0.7
    sampler = engine(net)
    encoding = sampler.encode(x0)
    x = encoding.x[-1].clone()
    for t in range(NL - 1, -1, -1):
        l = torch.tensor([t + 1])
        r, gradient = fraction_and_gradient(Size(), x, l, brain=mask)
        epsilon = guided_epsilon(
            net(x, l).detach(), gradient, alpha_bar=SCHEDULE.alpha_bar(t + 1),
            scale=sampler.effective_scale * (target - r),
        )
        x, _ = scheduler.step(epsilon, t, x)
    wanted = torch.tensor([target], dtype=torch.float64)
    made = sampler.denoise(encoding, BatchTarget(wanted, mask), brain=mask)
    assert (made - x0).abs().max() > 0.05  # guidance did something
    torch.testing.assert_close(made.clone(), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
@pytest.mark.parametrize("encode", ["invert", "noise"])
def test_an_anchored_image_comes_back_exactly_without_guidance(solver, encode):
    x0, brain = scan()
    sampler = engine(Net(), anchor=True, encode=encode, steps=7, solver=solver)
    torch.testing.assert_close(sampler.reconstruct(x0, brain=brain), x0, rtol=0, atol=1e-10)


@pytest.mark.parametrize("encode", ["invert", "noise"])
def test_an_anchored_image_comes_back_though_x0_is_clipped(encode):
    x0, brain = scan()
    x0 = (4 * x0).clamp(-1, 1)
    sampler = engine(Net(), anchor=True, encode=encode, steps=7, clip_x0=True)
    torch.testing.assert_close(sampler.reconstruct(x0, brain=brain), x0, rtol=0, atol=1e-10)


def test_no_target_gives_no_generation():
    x0, brain = scan()
    assert engine(Net(), steps=3).sample(x0, [], brain=brain) == []


def test_second_order_converges_faster():
    """Unguided from one noisy image: the error against many steps, at 10 steps and at 20."""
    x0, brain = scan()

    def made(solver, steps):
        sampler = engine(Net(), nl=600, encode="noise", steps=steps, solver=solver)
        return sampler.reconstruct(x0, brain=brain)

    exact = made("dpmpp_2m", 400)
    for steps in (10, 20):
        first, second = ((made(s, steps) - exact).abs().max() for s in ("ddim", "dpmpp_2m"))
        assert second < 0.5 * first


@pytest.mark.parametrize(("nl", "steps"), [(200, 20), (200, None), (50, 49), (7, 7), (1, 1)])
def test_levels_ascend_from_zero_to_nl(nl, steps):
    levels = visited_levels(nl, steps)
    assert (levels[0], levels[-1], len(levels)) == (0, nl, (steps or nl) + 1)
    assert all(b > a for a, b in zip(levels, levels[1:], strict=False))


def test_one_inversion_serves_all_targets():
    x0, brain = scan()
    sampler = engine(Net(), steps=10)
    sampler.sample(x0, [GuidanceTarget(0.7)] * 8, brain=brain)
    assert sampler.evaluations["denoiser"] == 10 + 8 * 10

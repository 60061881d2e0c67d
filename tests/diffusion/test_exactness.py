"""The sampler against MONAI's DDIM scheduler and against identities, in float64, every level."""

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.guidance import fraction_and_gradient, guided_epsilon
from mechlearn.diffusion.levels import visited_levels
from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SPACINGS, SamplerSpec
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
        sampler = engine(Net(), nl=600, encode="noise", steps=steps, solver=solver,
                         spacing="logsnr")
        return sampler.reconstruct(x0, brain=brain)

    exact = made("dpmpp_2m", 400)
    for steps in (10, 20):
        first, second = ((made(s, steps) - exact).abs().max() for s in ("ddim", "dpmpp_2m"))
        assert second < 0.5 * first


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("nl", "steps"), [(200, 20), (200, None), (50, 49), (7, 7), (1, 1)])
def test_levels_ascend_from_zero_to_nl(spacing, nl, steps):
    levels = visited_levels(SCHEDULE, nl, steps=steps, spacing=spacing)
    assert (levels[0], levels[-1], len(levels)) == (0, nl, (steps or nl) + 1)
    assert all(b > a for a, b in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_two_of_the_strided_levels_are_left_for_where_nothing_is_asked(spacing):
    levels = visited_levels(SCHEDULE, 200, steps=12, spacing=spacing, above=10)
    assert levels[:4] == [0, 4, 7, 11]
    assert (levels[-1], len(levels)) == (200, 13)


@pytest.mark.parametrize("nl", [11, 12, 15, 30])
def test_low_noise_levels_keep_one_to_guide_at(nl):
    for steps in range(1, nl + 1):
        levels = visited_levels(SCHEDULE, nl, steps=steps, spacing="logsnr", above=10)
        assert (levels[0], levels[-1], len(levels)) == (0, nl, steps + 1)
        assert all(b > a for a, b in zip(levels, levels[1:], strict=False))


def test_even_steps_in_log_snr_are_even_in_it():
    levels = visited_levels(SCHEDULE, 200, steps=12, spacing="logsnr", above=10)[3:]
    alpha_bar = np.array([float(SCHEDULE.alpha_bar(l)) for l in levels])
    steps = np.diff(np.log(alpha_bar / (1 - alpha_bar)))
    assert steps.std() / abs(steps.mean()) < 0.06  # levels are whole numbers


def test_one_inversion_serves_all_targets():
    x0, brain = scan()
    sampler = engine(Net(), steps=10)
    sampler.sample(x0, [GuidanceTarget(0.7)] * 8, brain=brain)
    assert sampler.evaluations["denoiser"] == 10 + 8 * 10


class Pixels(Size):
    """Tumour where the first contrast is bright."""

    def tumour_logits(self, x_l, l):
        return 8 * x_l[:, :1]

    def fraction(self, x_l, l, brain):
        soft = torch.sigmoid(self.tumour_logits(x_l, l)) * brain
        return soft.sum((1, 2, 3)) / brain.sum()


def ordered(x0, brain, order, target, **spec):
    base = {"nl": NL, "steps": 20, "invert_iterations": 0, "anchor": True,
            "guidance": "placed"}
    spec = SamplerSpec(**{**base, **spec})
    sampler = GuidedSampler(Net(), Pixels(), schedule=SCHEDULE, spec=spec)
    return sampler.sample(x0, [GuidanceTarget(target)], brain=brain, order=order,
                          initial_fraction=0.1)


def rows_of(brain):
    rank = torch.full((12, 12), torch.inf)
    rank[brain > 0] = torch.arange(1, 101) / 100.0  # from the first row down
    return rank


def test_ordered_growth_is_put_where_the_order_says():
    x0, brain = scan()
    x0 = torch.where(brain > 0, x0 * 0.1 - 0.5, -1.0)
    rank = rows_of(brain)
    (made,) = ordered(x0, brain, rank, 0.4)
    change = (made.image - x0)[0].abs()
    added, never = (rank > 0.1) & (rank <= 0.4), (rank > 0.4) & (brain > 0)
    assert change[added].mean() > 20 * change[never].mean()


def test_placed_target_of_no_change_returns_the_anchored_image():
    x0, brain = scan()
    (made,) = ordered(x0, brain, rows_of(brain), 0.1)
    torch.testing.assert_close(made.image, torch.where(brain > 0, x0, -1.0), rtol=0, atol=1e-10)


def test_placed_needs_the_tumour_fraction_of_the_reference():
    x0, brain = scan()
    sampler = GuidedSampler(Net(), Pixels(), schedule=SCHEDULE,
                            spec=SamplerSpec(nl=NL, steps=3, guidance="placed"))
    with pytest.raises(ValueError, match=r"the tumour fraction of the reference is not given"):
        sampler.sample(x0, [GuidanceTarget(0.4)], brain=brain, order=rows_of(brain))


def test_where_a_tumour_retreats_the_tissue_around_it_comes_back():
    x0, brain = scan()
    rank = rows_of(brain)
    x0 = torch.where(brain > 0, -0.5, -1.0).expand(2, -1, -1).double().clone()
    x0[:, (rank <= 0.405) & (brain > 0)] = 0.5
    base = {"steps": 20, "nl": NL, "invert_iterations": 0, "anchor": True,
            "guidance": "placed"}
    sampler = GuidedSampler(Net(), Pixels(), schedule=SCHEDULE, spec=SamplerSpec(**base))
    (made,) = sampler.sample(x0, [GuidanceTarget(0.205)], brain=brain, order=rank,
                             initial_fraction=0.405, tissue=torch.full_like(x0, -0.5))
    left, stays = (rank > 0.205) & (rank <= 0.405), rank <= 0.205
    assert made.image[:, left].mean() == pytest.approx(-0.5, abs=0.05)
    assert made.image[:, stays].mean() == pytest.approx(0.5, abs=0.05)


def test_members_that_grow_do_not_see_one_that_shrinks():
    x0, brain = scan()
    rank = rows_of(brain)
    (alone,) = ordered(x0, brain, rank, 0.4)
    spec = SamplerSpec(nl=NL, steps=20, invert_iterations=0, anchor=True,
                       guidance="placed")
    sampler = GuidedSampler(Net(), Pixels(), schedule=SCHEDULE, spec=spec)
    both = sampler.sample(x0, [GuidanceTarget(0.05), GuidanceTarget(0.4)], brain=brain, order=rank,
                          initial_fraction=0.1, tissue=torch.zeros_like(x0))
    torch.testing.assert_close(both[1].image, alone.image)


def test_order_is_asked_for_by_name():
    x0, brain = scan()
    with pytest.raises(ValueError, match=r"sampler.guidance=placed: no arrival order"):
        ordered(x0, brain, None, 0.4)


def test_a_guide_of_sizes_alone_cannot_follow_an_order():
    x0, brain = scan()
    sampler = engine(Net(), guidance="placed", steps=3)
    with pytest.raises(ValueError, match=r"sampler.guidance=placed: Size predicts a size"):
        sampler.sample(x0, [GuidanceTarget(0.4)], brain=brain, order=brain, initial_fraction=0.1)

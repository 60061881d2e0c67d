import pytest
import torch

from mechlearn.diffusion.guidance import (
    effective_scale,
    fraction_and_gradient,
    guided_epsilon,
    smooth_gradient,
)
from mechlearn.diffusion.sampler import GuidedSampler, SamplerSpec, member_seed, parse_scale
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.records import GuidanceTarget

SCHEDULE = NoiseSchedule()


class SoftThreshold:
    """A guide with a known gradient: share of brain pixels above zero, softly."""

    def fraction(self, x_l, l, brain):
        soft = torch.sigmoid(8 * x_l.mean(1, keepdim=True)) * brain
        return soft.flatten(1).sum(1) / brain.sum()


def gaussian_epsilon(x_l, l):
    """Exact epsilon of a data set N(-0.5, 0.2^2) in every pixel: linear in x_l."""
    alpha_bar = SCHEDULE.alpha_bar(l).reshape(-1, 1, 1, 1)
    variance = alpha_bar * 0.04 + 1 - alpha_bar
    return (1 - alpha_bar).sqrt() * (x_l + 0.5 * alpha_bar.sqrt()) / variance


def scan(n=16, seed=0):
    x0 = -0.5 + 0.2 * torch.randn(4, n, n, generator=torch.Generator().manual_seed(seed))
    brain = torch.zeros(n, n)
    brain[2:-2, 2:-2] = 1
    return torch.where(brain > 0, x0, -1.0), brain


def sampler(*, guide=None, pixel_mm=1.0, **spec):
    return GuidedSampler(gaussian_epsilon, guide or SoftThreshold(), schedule=SCHEDULE,
                         spec=SamplerSpec(**spec), pixel_mm=pixel_mm)


@pytest.mark.parametrize("steps", [None, 20])
def test_invert_then_denoise_returns_the_image(steps):
    x0, brain = scan()
    made = sampler(nl=200, steps=steps).reconstruct(x0, brain=brain)
    torch.testing.assert_close(made, x0, rtol=0, atol=1e-3)


def test_target_equal_to_reading_leaves_the_image_alone():
    class Constant:
        def fraction(self, x_l, l, brain):
            return 0.1 + 0 * x_l.flatten(1).sum(1)

    x0, brain = scan()
    (made,) = sampler(guide=Constant(), nl=100, steps=20).sample(
        x0, [GuidanceTarget(0.1)], brain=brain)
    torch.testing.assert_close(made.image, x0, rtol=0, atol=1e-3)


def test_guidance_grows_and_shrinks_towards_the_target():
    x0, brain = scan()
    made = sampler(nl=200, steps=20, scale="5k").sample(
        x0, [GuidanceTarget(0.0), GuidanceTarget(0.5)], brain=brain)
    assert made[0].predicted_after < made[0].predicted_before < made[1].predicted_after


@pytest.mark.parametrize("encode", ["invert", "noise"])
def test_members_do_not_depend_on_the_batch_size(encode):
    x0, brain = scan()
    targets = [GuidanceTarget(f) for f in (0.05, 0.1, 0.2, 0.3, 0.4)]
    one, five = (
        sampler(nl=100, steps=10, scale="5k", encode=encode, batch_size=b).sample(
            x0, targets, brain=brain, seed=3, slice_id="p/z001")
        for b in (1, 5)
    )
    for a, b in zip(one, five, strict=True):
        assert torch.equal(a.image, b.image)  # to the last bit, on a CPU


def test_noise_encoding_differs_by_member_and_repeats_by_seed():
    x0, brain = scan()
    engine = sampler(nl=100, steps=10, encode="noise")
    a, b = engine.sample(x0, [GuidanceTarget(0.1)] * 2, brain=brain, seed=1)
    again, _ = engine.sample(x0, [GuidanceTarget(0.1)] * 2, brain=brain, seed=1)
    assert not torch.equal(a.image, b.image)
    assert torch.equal(a.image, again.image)


def test_background_stays_background():
    x0, brain = scan()
    (made,) = sampler(nl=100, steps=10, encode="noise").sample(
        x0, [GuidanceTarget(0.3)], brain=brain)
    assert torch.all(made.image[:, brain == 0] == -1)


def test_same_scale_means_the_same_on_a_finer_grid():
    """The same scan with each pixel split in 2 x 2 of half the size: the same guidance."""
    x0, brain = scan()
    fine, fine_brain = (t.repeat_interleave(2, -1).repeat_interleave(2, -2) for t in (x0, brain))
    target = [GuidanceTarget(0.3)]
    coarse = sampler(nl=100, steps=10, scale="5k", pixel_mm=2.0).sample(x0, target, brain=brain)
    finer = sampler(nl=100, steps=10, scale="5k", pixel_mm=1.0).sample(
        fine, target, brain=fine_brain)
    torch.testing.assert_close(finer[0].image[:, ::2, ::2], coarse[0].image, rtol=0, atol=1e-4)


def test_effective_scale_follows_pixel_area_and_gain():
    assert effective_scale(50_000, pixel_mm=2.0, gain=3.0) == pytest.approx(37_500)


def test_gradient_is_float32_and_matches_finite_differences():
    x0, brain = scan(8)
    mask, l = brain[None, None], torch.tensor([5])
    _, gradient = fraction_and_gradient(SoftThreshold(), x0[None].bfloat16(), l, brain=mask)
    assert gradient.dtype == torch.float32
    x = x0[None].bfloat16().double()
    step = torch.zeros_like(x)
    step[0, 1, 4, 4] = 1e-4
    up, down = (SoftThreshold().fraction(x + s * step, l, mask.double()) for s in (1, -1))
    assert gradient[0, 1, 4, 4].item() == pytest.approx(((up - down) / 2e-4).item(), rel=1e-3)


def test_guided_epsilon_is_equation_two():
    epsilon, gradient = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5)
    out = guided_epsilon(epsilon, gradient, alpha_bar=torch.tensor([0.36]),
                         scale=torch.tensor([2.0]))
    torch.testing.assert_close(out, torch.full((1, 1, 2, 2), 1 - 2.0 * 0.8 * 0.5))


@pytest.mark.parametrize(("text", "value"), [("10k", 1e4), ("50k", 5e4), ("1.5M", 1.5e6),
                                             ("20000", 2e4), (0, 0.0)])
def test_scale_reads_as_written(text, value):
    assert parse_scale(text) == value


@pytest.mark.parametrize("text", ["10q", "", "k", "-5k", "nan"])
def test_wrong_scale_names_key_and_value(text):
    with pytest.raises(ValueError, match="sampler.scale="):
        SamplerSpec(scale=text)


@pytest.mark.parametrize("bad", [
    {"nl": 0}, {"nl": 1001}, {"steps": 300}, {"encode": "ddim"}, {"guide_above": 10},
    {"dynamic": False, "guidance": "labels"}, {"guidance": "gap"}, {"spacing": "quadratic"},
])  # fmt: skip
def test_wrong_spec_names_its_key(bad):
    with pytest.raises(ValueError, match=f"sampler.{next(iter(bad))}="):
        SamplerSpec(**bad)


def test_a_removed_guidance_names_what_takes_its_place():
    with pytest.raises(ValueError, match="guidance='placed'.*was removed: sampler=labels"):
        SamplerSpec(guidance="placed")


def test_settings_of_an_older_bundle_that_are_as_usual_are_read():
    assert SamplerSpec(nl=50, spacing="uniform", guide_above=0) == SamplerSpec(nl=50)


def test_member_seeds_differ_by_slice_member_and_seed():
    seeds = {member_seed(s, z, m) for s in (0, 1) for z in ("a", "b") for m in (0, 1)}
    assert len(seeds) == 8


def test_smoothed_gradient_still_ascends_and_keeps_its_mean_inside():
    gradient = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = smooth_gradient(gradient, 1.5)
    assert (smooth * gradient).sum() > 0
    constant = smooth_gradient(torch.ones(1, 2, 32, 32), 1.5)
    torch.testing.assert_close(constant[..., 8:-8, 8:-8], torch.ones(1, 2, 16, 16))


def test_smoothing_removes_a_chequerboard():
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    board = (1.0 - 2.0 * ((rows + columns) % 2))[None, None]
    assert smooth_gradient(board, 1.5)[..., 8:-8, 8:-8].abs().max() < 1e-2


def test_no_smoothing_is_the_gradient_itself():
    gradient = torch.randn(1, 2, 8, 8)
    assert smooth_gradient(gradient, 0.0) is gradient

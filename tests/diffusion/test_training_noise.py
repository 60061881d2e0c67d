import numpy as np
import pytest
import torch

from mechlearn.diffusion.training_noise import ImportanceLevels, UniformLevels, noise_of

DRAWS = list(range(20_000))


def levels(sampler, draws=DRAWS, seed=0):
    return sampler.draw(draws, seed=seed)[0]


def test_noise_of_a_draw_does_not_depend_on_its_batch():
    together = noise_of([3, 4, 5], (2, 8, 8), seed=1)
    assert torch.equal(together[1:2], noise_of([4], (2, 8, 8), seed=1))


def test_noise_is_standard_normal():
    noise = noise_of(range(50), (4, 16, 16), seed=0)
    assert noise.mean().abs() < 0.01
    assert noise.std() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("other", [{"seed": 2}, {"draws": [4]}])
def test_noise_differs_between_draws_and_seeds(other):
    given = {"draws": [3], "seed": 1}
    a, b = (noise_of(v["draws"], (1, 4, 4), seed=v["seed"]) for v in (given, given | other))
    assert not torch.equal(a, b)


def test_uniform_levels_cover_the_range_evenly():
    found = levels(UniformLevels(1, 50))
    counts = torch.bincount(found, minlength=51)[1:]
    assert (found.min(), found.max()) == (1, 50)
    assert counts.float().std() < 3 * np.sqrt(len(DRAWS) / 50)


def test_share_of_low_levels_is_drawn_more_often():
    found = levels(UniformLevels(1, 1000, share=0.5, below=100))
    assert (found <= 100).float().mean() == pytest.approx(0.5 + 0.5 * 0.1, abs=0.02)


def test_levels_of_a_draw_do_not_depend_on_its_batch():
    sampler = UniformLevels(0, 1000, share=0.3, below=200)
    assert torch.equal(levels(sampler)[7:9], levels(sampler, [7, 8]))


def learned(losses, passes=10, **options):
    """An importance sampler that saw `losses` of levels 1.. as often as its history is long."""
    sampler = ImportanceLevels(1, len(losses), **options)
    for _ in range(passes):
        sampler.update(torch.arange(1, len(losses) + 1), losses)
    return sampler


LOSSES = torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0])


def test_importance_waits_until_every_level_is_known():
    torch.testing.assert_close(learned(LOSSES, passes=9).probabilities(), torch.full((5,), 0.2))


def test_importance_draws_levels_by_the_root_of_their_mean_square():
    p = learned(LOSSES, uniform=0.0).probabilities()
    torch.testing.assert_close(p, LOSSES / LOSSES.sum())
    found = torch.bincount(levels(learned(LOSSES, uniform=0.0)), minlength=6)[1:] / len(DRAWS)
    torch.testing.assert_close(found, p, atol=0.015, rtol=0)


def test_importance_weights_leave_the_expected_loss_as_it_is():
    sampler = learned(LOSSES)
    l, weight = sampler.draw(DRAWS, seed=0)
    # every term is (almost) the mean: that is what the probabilities are chosen for
    weighted = LOSSES[l - 1] * weight
    assert weighted.mean() == pytest.approx(float(LOSSES.mean()), rel=2e-3)
    assert weighted.std() < 0.01


def test_importance_forgets_what_is_older_than_its_history():
    sampler = learned(torch.ones(5))
    for _ in range(10):
        sampler.update(torch.arange(1, 6), LOSSES)
    torch.testing.assert_close(sampler.losses, learned(LOSSES).losses)


def test_importance_keeps_each_loss_of_a_level_that_stands_twice():
    sampler = ImportanceLevels(1, 2)
    sampler.update(torch.tensor([2, 2, 1]), torch.tensor([3.0, 5.0, 7.0]))
    assert sampler.losses[1, :2].tolist() == [3.0, 5.0]
    assert sampler.seen.tolist() == [1, 2]


def test_importance_goes_on_from_its_state():
    sampler, other = learned(LOSSES), ImportanceLevels(1, 5)
    other.load_state_dict(sampler.state_dict())
    assert torch.equal(other.probabilities(), sampler.probabilities())

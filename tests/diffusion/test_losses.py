import math

import numpy as np
import pytest
import torch
from scipy import stats

from mechlearn.diffusion.losses import hybrid_loss, segmentation_loss
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.networks import soft_fraction

SCHEDULE = NoiseSchedule()


def batch(l, seed=0):
    g = torch.Generator().manual_seed(seed)
    x0 = torch.rand(1, 1, 4, 4, generator=g) * 1.8 - 0.9
    epsilon = torch.randn(1, 1, 4, 4, generator=g)
    output = torch.cat([epsilon + 0.1 * torch.randn(1, 1, 4, 4, generator=g),
                        torch.rand(1, 1, 4, 4, generator=g) * 2 - 1], 1)
    return output, x0, epsilon, torch.tensor([l])


def distributions(output, x0, epsilon, l):
    """Means and variances of q and p at level l, from Ho et al. 2020 eq. (7), in float64."""
    beta = np.linspace(1e-4, 0.02, 1000)
    alpha_bar = np.cumprod(1 - beta)
    b, ab = beta[l - 1], alpha_bar[l - 1]
    prev = alpha_bar[l - 2] if l > 1 else 1.0
    low = b * (1 - prev) / (1 - ab) if l > 1 else beta[1] * (1 - alpha_bar[0]) / (1 - alpha_bar[1])
    x, e, out = (t.double().numpy() for t in (x0, epsilon, output))
    x_l = math.sqrt(ab) * x + math.sqrt(1 - ab) * e

    def mean(clean):
        return (math.sqrt(prev) * b * clean + math.sqrt(1 - b) * (1 - prev) * x_l) / (1 - ab)

    x_hat = (x_l - math.sqrt(1 - ab) * out[:, :1]) / math.sqrt(ab)
    share = (out[:, 1:] + 1) / 2
    return mean(x), low, mean(x_hat), np.exp(share * math.log(b) + (1 - share) * math.log(low))


@pytest.mark.parametrize("level", [2, 3, 50, 200, 999, 1000])
def test_vlb_at_inner_levels_is_the_gaussian_kl_in_bits_times_levels(level):
    output, x0, epsilon, l = batch(level)
    m1, v1, m2, v2 = distributions(output, x0, epsilon, level)
    kl = 0.5 * (np.log(v2 / v1) + (v1 + (m1 - m2) ** 2) / v2 - 1)
    loss = hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE)
    np.testing.assert_allclose(loss.vlb.item(), kl.mean() / math.log(2) * 1000, rtol=2e-3)


def test_vlb_at_level_one_is_the_likelihood_of_eight_bit_data():
    output, x0, epsilon, l = batch(1)
    _, _, mean, variance = distributions(output, x0, epsilon, 1)
    normal = stats.norm(mean, np.sqrt(variance))
    mass = normal.cdf(x0.double().numpy() + 1 / 255) - normal.cdf(x0.double().numpy() - 1 / 255)
    loss = hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE)
    expected = -np.log(np.maximum(mass, 1e-12)).mean() / math.log(2) * 1000
    np.testing.assert_allclose(loss.vlb.item(), expected, rtol=2e-2)


def test_mean_of_vlb_over_all_levels_is_the_variational_bound():
    """-log p(x0) <= sum of the KLs and of the decoder's likelihood, here by torch.distributions."""
    output, x0, epsilon, _ = batch(1)
    estimates, terms = [], []
    for level in range(1, 1001):
        l = torch.tensor([level])
        estimates.append(hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE).vlb.item())
        moments = (torch.as_tensor(v) for v in distributions(output, x0, epsilon, level))
        m1, v1, m2, v2 = moments
        p = torch.distributions.Normal(m2, v2.sqrt())
        if level == 1:
            x = x0.double()
            nats = -(p.cdf(x + 1 / 255) - p.cdf(x - 1 / 255)).clamp_min(1e-12).log()
        else:
            q = torch.distributions.Normal(m1, v1.sqrt().expand_as(m1))
            nats = torch.distributions.kl_divergence(q, p)
        terms.append(nats.mean().item() / math.log(2))
    np.testing.assert_allclose(np.mean(estimates), np.sum(terms), rtol=1e-3)


def test_contrast_that_is_not_there_counts_for_nothing():
    g = torch.Generator().manual_seed(1)
    x0, epsilon, output = (torch.randn(2, c, 4, 4, generator=g) for c in (3, 3, 6))
    l, present = torch.tensor([1, 300]), torch.tensor([[1.0, 0, 1], [1, 0, 1]])
    some = hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE, present=present)
    kept = [0, 2]
    alone = hybrid_loss(output[:, [0, 2, 3, 5]], x0[:, kept], epsilon[:, kept], l=l,
                        schedule=SCHEDULE)
    torch.testing.assert_close(some.mse, alone.mse)
    torch.testing.assert_close(some.vlb, alone.vlb)


def test_vlb_trains_the_variance_and_not_the_mean():
    output, x0, epsilon, l = batch(300)
    output.requires_grad_(True)
    hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE).vlb.sum().backward()
    assert output.grad[:, :1].abs().max() == 0
    assert output.grad[:, 1:].abs().max() > 0


def test_hybrid_is_mse_plus_a_thousandth_of_vlb():
    output, x0, epsilon, l = batch(300)
    loss = hybrid_loss(output, x0, epsilon, l=l, schedule=SCHEDULE)
    torch.testing.assert_close(loss.total(0.001), loss.mse + 0.001 * loss.vlb)


def test_soft_fraction_of_certain_logits_is_the_area_fraction():
    tumour, brain = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    brain[..., 1:7, 1:7], tumour[..., 2:4, 2:5] = 1, 1
    fraction = soft_fraction(200 * tumour - 100, brain)
    torch.testing.assert_close(fraction, torch.tensor([6 / 36]))


def test_segmentation_loss_ignores_the_background():
    tumour, brain = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    brain[..., :4, :] = 1
    logits = torch.zeros(1, 1, 8, 8)
    wild = logits + 50 * (1 - brain)
    torch.testing.assert_close(segmentation_loss(wild, tumour, brain=brain),
                               segmentation_loss(logits, tumour, brain=brain))

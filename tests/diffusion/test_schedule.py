import pytest
import torch
from monai.networks.schedulers import DDIMScheduler

from mechlearn.diffusion.schedule import NoiseSchedule


def test_linear_alpha_bar_equals_monai():
    oracle = DDIMScheduler(num_train_timesteps=1000, schedule="linear_beta",
                           beta_start=1e-4, beta_end=0.02)
    ours = NoiseSchedule().alpha_bar(torch.arange(1, 1001))
    torch.testing.assert_close(ours, oracle.alphas_cumprod, rtol=1e-4, atol=1e-7)


def test_level_zero_is_the_clean_image():
    assert NoiseSchedule().alpha_bar(0) == 1


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_signal_only_falls(kind):
    alpha_bar = NoiseSchedule(kind=kind).alpha_bar(torch.arange(1001))
    assert torch.all(alpha_bar[1:] < alpha_bar[:-1])
    assert alpha_bar[-1] < 1e-3


def test_unknown_level_names_value_and_range():
    with pytest.raises(ValueError, match="1001.*between 0 and 1000"):
        NoiseSchedule().alpha_bar(1001)


def test_unknown_kind_names_the_choices():
    with pytest.raises(ValueError, match="schedule.kind='sqrt'.*linear, cosine"):
        NoiseSchedule(kind="sqrt")

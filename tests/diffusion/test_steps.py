import torch
from monai.networks.schedulers import DDIMScheduler

from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise, ddim_step, predict_epsilon, predict_x0

SCHEDULE = NoiseSchedule()


def images(seed=0, n=2):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, 8, 8, generator=g), torch.randn(n, 4, 8, 8, generator=g)


def test_predicted_x0_undoes_the_noise():
    x0, epsilon = images()
    alpha_bar = SCHEDULE.alpha_bar(torch.tensor([10, 500]))
    x_l = add_noise(x0, epsilon, alpha_bar=alpha_bar)
    torch.testing.assert_close(predict_x0(x_l, epsilon, alpha_bar=alpha_bar), x0,
                               rtol=1e-4, atol=1e-5)


def test_predicted_epsilon_undoes_the_image():
    x0, epsilon = images()
    alpha_bar = SCHEDULE.alpha_bar(torch.tensor([10, 500]))
    x_l = add_noise(x0, epsilon, alpha_bar=alpha_bar)
    torch.testing.assert_close(predict_epsilon(x_l, x0, alpha_bar=alpha_bar), epsilon,
                               rtol=1e-3, atol=1e-4)


def test_step_equals_monai_ddim():
    oracle = DDIMScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02,
                           clip_sample=False, steps_offset=0)
    oracle.set_timesteps(100)  # strides of 10: timestep t = l - 1 to t - 10
    x_l, epsilon = images()
    expected, _ = oracle.step(epsilon, 499, x_l)
    ours = ddim_step(x_l, epsilon, alpha_bar=SCHEDULE.alpha_bar(500),
                     alpha_bar_to=SCHEDULE.alpha_bar(490))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_step_there_and_back_with_one_epsilon_is_the_identity():
    x, epsilon = images()
    low, high = SCHEDULE.alpha_bar(50), SCHEDULE.alpha_bar(300)
    there = ddim_step(x, epsilon, alpha_bar=low, alpha_bar_to=high)
    back = ddim_step(there, epsilon, alpha_bar=high, alpha_bar_to=low)
    torch.testing.assert_close(back, x, rtol=1e-4, atol=1e-5)

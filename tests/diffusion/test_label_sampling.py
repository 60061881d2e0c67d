from __future__ import annotations

import pytest
import torch

from mechlearn.diffusion.label_sampling import LabelSamplingSpec, draw_under_labels, window_of
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import predict_epsilon

SCHEDULE = NoiseSchedule()


def setting(side: int = 32):
    scan = torch.rand(1, 2, side, side, generator=torch.Generator().manual_seed(0)) - 0.5
    region = torch.zeros(1, side, side, dtype=torch.bool)
    region[:, 10:20, 10:20] = True
    guess = torch.where(region[:, None], 0.25, scan)
    return scan, guess, region, torch.ones_like(region)


def towards(value: float):
    """A denoiser that knows every clean image to be `value` everywhere."""

    def epsilon(x, l, labels):
        return predict_epsilon(x, torch.full_like(x, value), alpha_bar=SCHEDULE.alpha_bar(l))

    return epsilon


def draw(epsilon, spec, seed=0):
    scan, guess, region, brain = setting()
    return draw_under_labels(epsilon, scan, guess, torch.zeros(1, 5, 32, 32), region, brain,
                             schedule=SCHEDULE, spec=spec, seeds=[seed])


@pytest.mark.parametrize("solver", ["ddim", "dpmpp_2m"])
def test_the_region_is_what_the_denoiser_knows_and_the_scan_stands_beside_it(solver):
    scan, _, region, _ = setting()
    spec = LabelSamplingSpec(solver=solver, keep_low=0.0, seam_px=0.0)
    out = draw(towards(0.7), spec)
    inside = region[:, None].expand_as(out)
    assert out[inside] == pytest.approx(0.7, abs=1e-3)
    assert torch.equal(out[~inside], scan[~inside])


def test_the_seam_is_soft_and_narrow():
    scan, _, region, _ = setting()
    out = draw(towards(0.7), LabelSamplingSpec(keep_low=0.0, seam_px=1.0))
    assert not torch.equal(out[..., 9, 15], scan[..., 9, 15])
    assert torch.equal(out[..., :7, :], scan[..., :7, :])


def test_kept_intensities_are_those_of_the_first_guess():
    out = draw(towards(0.7), LabelSamplingSpec(keep_low=1.0, low_px=2.0, seam_px=0.0))
    assert float(out[..., 12:18, 12:18].mean()) == pytest.approx(0.25, abs=0.1)


def test_a_seed_names_a_picture():
    def identity(x, l, labels):
        return torch.zeros_like(x)

    spec = LabelSamplingSpec()
    assert torch.equal(draw(identity, spec, 3), draw(identity, spec, 3))
    assert not torch.equal(draw(identity, spec, 3), draw(identity, spec, 4))


def test_label_weight_goes_beyond_the_labels():
    def epsilon(x, l, labels):
        value = 0.0 if labels is None else 0.2
        return towards(value)(x, l, labels)

    out = draw(epsilon, LabelSamplingSpec(keep_low=0.0, label_weight=2.0, seam_px=0.0))
    assert float(out[..., 15, 15].mean()) == pytest.approx(0.4, abs=1e-3)


def test_a_window_holds_the_region_in_sides_of_sixteen():
    region = torch.zeros(128, 128, dtype=torch.bool)
    region[100:128, 60:80] = True
    window = window_of(region, margin_px=16)
    assert window.side % 16 == 0
    assert int(window.of(region).sum()) == int(region.sum())
    assert window.top + window.side <= 128


def test_a_region_without_a_pixel_is_refused():
    with pytest.raises(ValueError, match="nothing to generate"):
        window_of(torch.zeros(32, 32, dtype=torch.bool), margin_px=4)

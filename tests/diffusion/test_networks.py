import pytest
import torch

from mechlearn.diffusion.networks import Denoiser, Regressor, Segmenter
from mechlearn.diffusion.noise import sample_levels

SMALL = {"channels": (16, 32), "attention_levels": (False, True), "num_res_blocks": 1,
         "norm_num_groups": 8}


def test_paper_denoiser_has_its_parameter_count():
    with torch.device("meta"):
        count = sum(p.numel() for p in Denoiser().parameters())
    assert count == 113_680_136


@pytest.mark.parametrize("stem", [1, 2])
def test_shapes(stem):
    x, l = torch.randn(2, 4, 16, 16), torch.tensor([1, 900])
    assert Denoiser(4, stem=stem, **SMALL)(x, l).shape == (2, 8, 16, 16)
    assert Segmenter(4, stem=stem, **SMALL)(x, l).shape == (2, 1, 16, 16)
    assert Regressor(4, stem=stem, num_head_channels=16, **SMALL)(x, l).shape == (2,)


def test_regressor_takes_any_image_size():
    regressor = Regressor(4, num_head_channels=16, **SMALL)
    for size in (16, 32):
        assert regressor(torch.randn(1, 4, size, size), torch.tensor([3])).shape == (1,)


def test_levels_cover_the_whole_range():
    levels = sample_levels(20_000, lowest=1, highest=50,
                           generator=torch.Generator().manual_seed(0))
    assert levels.min() == 1
    assert levels.max() == 50


def test_low_levels_get_their_share():
    levels = sample_levels(20_000, lowest=1, highest=1000, share=0.5, below=100,
                           generator=torch.Generator().manual_seed(0))
    assert (levels <= 100).float().mean().item() == pytest.approx(0.55, abs=0.02)

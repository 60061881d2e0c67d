import pytest
import torch

from mechlearn.models.networks import Denoiser, Regressor, Segmenter, predicted_noise

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


def test_denoiser_can_be_conditioned_on_tumour_presence():
    torch.manual_seed(0)
    denoiser = Denoiser(4, classes=2, **SMALL)
    for parameter in denoiser.parameters():  # its last layer begins at zero
        torch.nn.init.normal_(parameter, std=0.1)
    x, l = torch.randn(1, 4, 16, 16).expand(2, -1, -1, -1), torch.tensor([5, 5])
    without, with_tumour = denoiser(x, l, torch.tensor([0, 1]))
    assert not torch.allclose(without, with_tumour)
    found = predicted_noise(denoiser, x[1:], l[1:])
    torch.testing.assert_close(found, with_tumour[None, :4])

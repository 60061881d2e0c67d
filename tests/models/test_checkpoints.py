import pytest
import torch

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import (
    CARD_KEY,
    build_sampler,
    check_pair,
    export,
    load_denoiser,
    load_guide,
    make_card,
    set_gain,
)
from mechlearn.models.network_targets import build_network
from mechlearn.records import GuidanceTarget

DATA = {"contrasts": ["t1n", "t1c", "t2w", "t2f"], "size": 16, "pixel_mm": 1.5,
        "intensity": {"low_percentile": 0.5, "high_percentile": 99.5}}
CLASSES = {"ddpm": "Denoiser", "regressor": "Regressor", "segmenter": "Segmenter"}


def network(kind):
    spec = {"_target_": f"mechlearn.models.networks.{CLASSES[kind]}", "channels": [16, 32],
            "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 8}
    return spec | ({"num_head_channels": 16} if kind == "regressor" else {})


def checkpoint(folder, kind, *, schedule=None, data=None):
    card = make_card(kind, network(kind), schedule or NoiseSchedule(), data or DATA)
    weights = {f"network.{k}": v for k, v in build_network(network(kind)).state_dict().items()}
    path = folder / f"{kind}.ckpt"
    torch.save({CARD_KEY: card, "state_dict": weights}, path)
    return path


def test_a_pair_samples_from_its_files_alone(tmp_path):
    denoiser = load_denoiser(checkpoint(tmp_path, "ddpm"))
    guide = load_guide(checkpoint(tmp_path, "segmenter"))
    sampler = build_sampler(denoiser, guide, SamplerSpec(nl=10, steps=2))
    (made,) = sampler.sample(torch.zeros(4, 16, 16), [GuidanceTarget(0.1)],
                             brain=torch.ones(16, 16))
    assert made.image.shape == (4, 16, 16)


def test_guide_of_another_schedule_is_refused(tmp_path):
    denoiser = load_denoiser(checkpoint(tmp_path, "ddpm"))
    guide = load_guide(checkpoint(tmp_path, "regressor", schedule=NoiseSchedule(kind="cosine")))
    with pytest.raises(ValueError, match="schedule.*linear.*cosine"):
        check_pair(denoiser, guide)


def test_guide_of_another_grid_is_refused(tmp_path):
    denoiser = load_denoiser(checkpoint(tmp_path, "ddpm"))
    guide = load_guide(checkpoint(tmp_path, "segmenter", data=DATA | {"size": 32}))
    with pytest.raises(ValueError, match="size is 16.*32"):
        check_pair(denoiser, guide)


def test_a_guide_is_no_denoiser(tmp_path):
    with pytest.raises(ValueError, match="checkpoints.denoiser.*segmenter; must be ddpm"):
        load_denoiser(checkpoint(tmp_path, "segmenter"))


def test_a_file_without_a_card_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    with pytest.raises(ValueError, match=r"bare\.ckpt.*card"):
        load_denoiser(tmp_path / "bare.ckpt")


def test_export_keeps_weights_to_half_precision_and_the_card(tmp_path):
    path = checkpoint(tmp_path, "segmenter")
    small = export(path, tmp_path / "segmenter.pt", training_steps=7)
    before, after = load_guide(path), load_guide(small)
    assert after.card["training_steps"] == 7
    for name, value in before.module.state_dict().items():
        torch.testing.assert_close(after.module.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_gain_is_kept_in_the_guides_checkpoint(tmp_path):
    path = checkpoint(tmp_path, "segmenter")
    set_gain(path, 2.5)
    assert load_guide(path).gain == 2.5


def test_missing_checkpoint_names_the_path(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.ckpt"):
        load_denoiser(tmp_path / "nowhere.ckpt")

"""A card from a stranger names a network, never code to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from mechlearn.models.network_targets import build_network

DDPM = {"_target_": "mechlearn.models.networks.Denoiser", "channels": [16, 32],
        "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 8}  # fmt: skip


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "monai.bundle.run", "mechlearn.records.GuidanceTarget",
        "mechlearn.models.networks.Oracle", "monai.losses.PerceptualLoss",
        "monai.networks.nets.HoVerNet", "monai.networks.nets.TransChex", "torch.hub.load", "",
    ],
)  # fmt: skip
def test_a_target_outside_the_list_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="not in the list of networks"):
        build_network({"_target_": target})


def test_a_hub_folder_is_not_loaded(tmp_path: Path) -> None:
    """`PerceptualLoss(cache_dir=...)` would run the hubconf.py of that folder."""
    made = tmp_path / "made"
    (tmp_path / "hubconf.py").write_text(f"open({str(made)!r}, 'w').close()")
    spec = {"_target_": "monai.losses.PerceptualLoss", "cache_dir": str(tmp_path)}
    with pytest.raises(ValueError, match="not in the list"):
        build_network(spec)
    assert not made.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pretrained_url", "http://localhost/weights.pt"),
        ("channels", ["16", 32]),
        ("surprise", {"_target_": "pathlib.Path.touch"}),
    ],
)
def test_an_argument_that_is_no_number_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"network.{key}=.*must be numbers"):
        build_network(DDPM | {key: value})


def test_a_network_of_version_0_1_is_built() -> None:
    network = build_network(DDPM | {"_target_": "mechlearn.diffusion.networks.Denoiser"})
    assert type(network).__name__ == "Denoiser"


def test_a_named_network_of_monai_is_built() -> None:
    network = build_network({"_target_": "monai.networks.nets.BasicUNet", "spatial_dims": 2,
                             "features": [8, 8, 8, 8, 8, 8]})  # fmt: skip
    assert type(network).__name__ == "BasicUNet"


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="unexpected keyword argument 'depth'"):
        build_network(DDPM | {"depth": 3})

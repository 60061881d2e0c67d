"""A pair goes out in each layout and comes back as it was; a damaged folder is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
import torch
import yaml

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import (
    CARD_KEY,
    build_network,
    load_denoiser,
    load_guide,
    load_model,
    make_card,
)
from mechlearn.models.exports import folder as exported
from mechlearn.models.exports.pair import LAYOUTS, ExportSpec, export_pair
from mechlearn.models.label_networks import LABEL_CHANNELS

CONTRASTS = ("t1n", "t1c", "t2w", "t2f")
CLASSES = {"ddpm": "Denoiser", "regressor": "Regressor", "segmenter": "Segmenter"}
RECIPE = SamplerSpec(nl=10, steps=5, scale="20k")
# The mandatory keys of the MONAI bundle specification, and what its tensors must say.
BUNDLE_KEYS = ("version", "changelog", "monai_version", "pytorch_version", "numpy_version",
               "required_packages_version", "task", "description", "authors", "copyright",
               "network_data_format")  # fmt: skip
TENSOR_KEYS = ("type", "format", "num_channels", "spatial_shape", "dtype", "value_range",
               "is_patch_data", "channel_def")  # fmt: skip


def model(folder, kind, *, contrasts=CONTRASTS, **card):
    """A loaded model of the tiniest network."""
    data = {"contrasts": list(contrasts), "size": 16, "pixel_mm": 1.5,
            "intensity": {"percentiles": [0.5, 99.9], "range": [-1.0, 1.0]}}
    network = {"_target_": f"mechlearn.models.networks.{CLASSES[kind]}", "channels": [8, 16],
               "attention_levels": [False, True], "num_res_blocks": 1, "norm_num_groups": 4,
               "contrasts": len(contrasts)}
    network |= {"num_head_channels": 8} if kind == "regressor" else {}
    path = folder / f"{kind}{len(contrasts)}.ckpt"
    if not path.exists():
        content = make_card(kind, network, NoiseSchedule(), data)
        torch.save({CARD_KEY: {**content, "training_steps": 7, **card},
                    "state_dict": build_network(network).state_dict()}, path)
    return load_model(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return model(folder, "ddpm", trained_on="9 phantom patients"), model(folder, "segmenter")


@pytest.fixture(scope="module")
def exports(pair, tmp_path_factory):
    """layout -> folder of the pair; not to be changed."""
    root = tmp_path_factory.mktemp("exports")
    spec = ExportSpec("tiny-pair", sampler=RECIPE)
    return {layout: export_pair(*pair, root / layout, layout=layout, spec=spec)
            for layout in LAYOUTS}


@pytest.fixture
def damaged(pair, tmp_path):
    """A fresh safetensors folder, to be damaged."""
    return export_pair(*pair, tmp_path / "out", layout="safetensors", spec=ExportSpec("tiny-pair"))


def change(folder, edit):
    """Edit the manifest of a safetensors folder in place."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    edit(content["mechlearn"])
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pair_comes_back_bit_for_bit_with_its_cards(exports, pair, layout):
    for before, after in zip(
        pair, (load_denoiser(exports[layout]), load_guide(exports[layout])), strict=True
    ):
        assert after.card == before.card
        assert after.digest == before.digest  # of every weight, and of the card in its order


@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_keeps_what_float16_holds(pair, tmp_path, layout):
    spec = ExportSpec("tiny-pair", half=True)
    out = export_pair(*pair, tmp_path / layout, layout=layout, spec=spec)
    for name, value in load_denoiser(out).module.state_dict().items():
        torch.testing.assert_close(
            value, pair[0].module.state_dict()[name].half().float(), rtol=0, atol=0
        )


def test_training_may_start_from_a_folder(exports, pair):
    assert load_model(exports["safetensors"], demo_kind="segmenter").digest == pair[1].digest


def test_a_folder_of_two_does_not_say_which_is_wanted(exports):
    with pytest.raises(ValueError, match="kind=''"):
        load_model(exports["safetensors"])


def test_regressor_in_a_pair_is_distinguished_from_a_segmenter(pair, tmp_path):
    guide = model(tmp_path, "regressor")
    out = export_pair(pair[0], guide, tmp_path / "out", layout="safetensors",
                      spec=ExportSpec("tiny-pair"))
    assert load_guide(out, kind="segmenter").kind == "regressor"  # the folder has but one guide


def test_models_of_different_contrasts_are_no_pair(pair, tmp_path):
    with pytest.raises(ValueError, match="contrasts"):
        export_pair(pair[0], model(tmp_path, "segmenter", contrasts=("t2f",)), tmp_path / "out",
                    layout="safetensors", spec=ExportSpec("tiny-pair"))
    assert not (tmp_path / "out").exists()


def test_existing_export_is_kept_unless_it_may_be_replaced(damaged, pair):
    (damaged / "note.txt").write_text("mine")
    spec = ExportSpec("again")
    with pytest.raises(ValueError, match="overwrite=true"):
        export_pair(*pair, damaged, layout="monai", spec=spec)
    assert (damaged / "note.txt").is_file()
    export_pair(*pair, damaged, layout="monai", spec=spec, overwrite=True)
    assert sorted(p.name for p in damaged.iterdir()) == ["LICENSE", "configs", "docs", "models"]
    assert [p.name for p in damaged.parent.iterdir()] == ["out"]


def test_folder_of_other_things_is_never_replaced(pair, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not replaced"):
        export_pair(*pair, tmp_path, layout="monai", spec=ExportSpec("tiny-pair"), overwrite=True)
    assert (tmp_path / "thesis.tex").is_file()


def test_failed_export_leaves_nothing(pair, tmp_path):
    guide = model(tmp_path, "segmenter")
    next(iter(guide.module.parameters())).fill_(1e6)  # beyond float16
    out = tmp_path / "exports" / "out"
    with pytest.raises(ValueError, match=r"float16.*half=false"):
        export_pair(pair[0], guide, out, layout="safetensors", spec=ExportSpec("t", half=True))
    assert not list(out.parent.iterdir())


def test_damaged_weights_are_refused(damaged):
    path = damaged / "denoiser.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"denoiser\.safetensors.*SHA-256"):
        load_denoiser(damaged)
    load_guide(damaged)


def test_missing_weights_are_named(damaged):
    (damaged / "guide.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"guide\.safetensors"):
        load_guide(damaged)


def test_half_a_manifest_is_refused(damaged):
    path = damaged / "config.json"
    path.write_text(path.read_text()[:200])
    with pytest.raises(ValueError, match=r"config\.json.*not valid JSON"):
        load_denoiser(damaged)


def test_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not an exported pair"):
        load_denoiser(tmp_path)


def test_manifest_of_another_library_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="'mechlearn' entry"):
        load_denoiser(tmp_path)


def test_format_of_tomorrow_is_refused(damaged):
    change(damaged, lambda m: m.update(format=99))
    with pytest.raises(ValueError, match="format 99"):
        load_denoiser(damaged)


def test_manifest_without_a_card_is_refused(damaged):
    change(damaged, lambda m: m["models"]["guide"].pop("card"))
    with pytest.raises(ValueError, match=r"models\.guide lacks card"):
        load_denoiser(damaged)


def test_manifest_may_not_name_other_code(damaged):
    foreign = {"_target_": "os.system", "command": "true"}
    change(damaged, lambda m: m["models"]["denoiser"]["card"].update(network=foreign))
    with pytest.raises(ValueError, match="os.system.*not in the list of networks"):
        load_denoiser(damaged)


def test_weights_outside_the_folder_are_refused(damaged):
    change(damaged, lambda m: m["models"]["denoiser"].update(file="../secret.safetensors"))
    with pytest.raises(ValueError, match="outside the folder"):
        load_denoiser(damaged)


def test_card_and_weights_must_fit(damaged):
    change(damaged, lambda m: m["models"]["denoiser"]["card"]["network"].update(channels=[16, 16]))
    with pytest.raises(ValueError, match="do not match the network of its card"):
        load_denoiser(damaged)


def test_bare_weights_are_refused_with_the_folder_to_give(exports):
    with pytest.raises(ValueError, match="Give the exported folder"):
        load_denoiser(exports["safetensors"] / "denoiser.safetensors")


@pytest.mark.parametrize("path", ["hf://group/tiny", "hf:/group/tiny"])  # Path eats a slash
def test_hub_is_read_through_its_local_copy(exports, pair, monkeypatch, path):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(repo, *, revision, allow_patterns):
        asked.append((repo, revision))
        return str(exports["huggingface"])

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert load_denoiser(path).digest == pair[0].digest
    guide = load_guide(f"{path}@v1")
    assert (guide.digest, guide.source) == (pair[1].digest, f"{path}@v1")
    assert asked == [("group/tiny", None), ("group/tiny", "v1")]


def test_hub_that_does_not_answer_is_a_missing_file(monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def download(*_, **__):
        raise hub.errors.LocalEntryNotFoundError("offline")

    monkeypatch.setattr(hub, "snapshot_download", download)
    with pytest.raises(FileNotFoundError, match="hf://group/tiny.*offline"):
        load_denoiser("hf://group/tiny")


def test_hub_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"mechlearn\[hub\]"):
        load_denoiser("hf://group/tiny")


def test_malformed_hub_path_is_refused():
    with pytest.raises(ValueError, match="hf://OWNER/NAME"):
        load_denoiser("hf://tiny")


def test_model_card_has_the_front_matter_of_the_hub(exports):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard((exports["huggingface"] / "README.md").read_text())
    data = card.data.to_dict()
    assert (data["license"], data["library_name"]) == ("apache-2.0", "mechlearn")
    assert data["pipeline_tag"] == "image-to-image"
    assert "phantom" in data["tags"]


def test_model_card_calls_phantoms_phantoms_and_no_device_a_device(exports):
    for name in ("huggingface/README.md", "monai/docs/README.md"):
        layout, file = name.split("/", 1)
        text = (exports[layout] / file).read_text()
        assert "Trained on phantoms" in text
        assert "9 phantom patients" in text
        assert "Not a medical device" in text


def test_model_card_says_when_the_training_data_are_unknown(pair, tmp_path):
    denoiser = model(tmp_path, "ddpm")
    spec = ExportSpec("real", license="other", datasets=("group/cohort",))
    out = export_pair(denoiser, pair[1], tmp_path / "out", layout="huggingface", spec=spec)
    text = (out / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["trained_on"] == ["not recorded"]
    assert head["datasets"] == ["group/cohort"]
    assert (head["license"], head["license_link"]) == ("other", "LICENSE")
    assert "phantom" not in text.lower()


def test_bundle_metadata_has_the_keys_of_the_specification(exports):
    meta = json.loads((exports["monai"] / "configs" / "metadata.json").read_text())
    assert not [key for key in BUNDLE_KEYS if not meta.get(key)]
    assert "Not a medical device" in meta["warning"]
    for name in ("network_data_format", "guide_data_format"):
        assert set(meta[name]) == {"inputs", "outputs"}
        for tensor in (*meta[name]["inputs"].values(), *meta[name]["outputs"].values()):
            assert not [key for key in TENSOR_KEYS if key not in tensor]
            assert tensor["num_channels"] == len(tensor["channel_def"])


def test_denoisers_tensors_are_as_the_metadata_say(exports, pair):
    meta = json.loads((exports["monai"] / "configs" / "metadata.json").read_text())
    said = meta["network_data_format"]
    image, pred = said["inputs"]["image"], said["outputs"]["pred"]
    with torch.no_grad():
        out = pair[0].module(torch.zeros(1, image["num_channels"], *image["spatial_shape"]),
                             torch.tensor([1]))
    assert out.shape == (1, pred["num_channels"], *pred["spatial_shape"])


def test_bundle_has_every_property_of_an_inference_workflow(exports):
    bundle = pytest.importorskip("monai.bundle")
    root = exports["monai"]
    workflow = bundle.ConfigWorkflow(
        root / "configs" / "inference.json", workflow_type="infer", logging_file=False,
        bundle_root=str(root), multiple=1.5,
    )  # fmt: skip
    workflow.initialize()
    assert workflow.check_properties() == []
    assert workflow.inferer.spec == RECIPE


@pytest.mark.filterwarnings("ignore:parsing config_file")  # MONAI's word of caution
def test_monai_loads_the_denoiser_by_its_own_means(exports, pair):
    bundle = pytest.importorskip("monai.bundle")
    root = exports["monai"]
    network = bundle.load(root.name, bundle_dir=root.parent, workflow_type="inference",
                          device="cpu")
    for name, value in pair[0].module.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_bundle_of_one_contrast_asks_for_one_file(tmp_path):
    pair = [model(tmp_path, kind, contrasts=("t2f",)) for kind in ("ddpm", "regressor")]
    out = export_pair(*pair, tmp_path / "out", layout="monai", spec=ExportSpec("flair"))
    assert json.loads((out / "configs" / "inference.json").read_text())["image"] == {"t2f": None}
    assert load_denoiser(out).contrasts == ("t2f",)


def test_labels_of_a_conditional_denoiser_are_in_the_metadata(pair, tmp_path):
    card = pair[0].card
    denoiser = replace(pair[0], card={**card, "network": {**card["network"], "classes": 2}})
    out = export_pair(denoiser, pair[1], tmp_path / "out", layout="monai", spec=ExportSpec("two"))
    meta = json.loads((out / "configs" / "metadata.json").read_text())
    assert meta["network_data_format"]["inputs"]["label"]["value_range"] == [0, 1]
    assert "label" not in meta["guide_data_format"]["inputs"]


def test_label_maps_of_the_packaged_drawer_are_in_the_metadata(tmp_path):
    drawer, guide = load_model("demo", demo_kind="ddpm_labels"), load_guide()
    out = export_pair(drawer, guide, tmp_path / "out", layout="monai", spec=ExportSpec("drawer"))
    meta = json.loads((out / "configs" / "metadata.json").read_text())
    said = meta["network_data_format"]["inputs"]["labels"]
    assert list(said["channel_def"].values()) == list(LABEL_CHANNELS)
    with torch.no_grad():
        drawer.module(torch.zeros(1, 4, 128, 128), torch.tensor([1]),
                      torch.zeros(1, said["num_channels"], *said["spatial_shape"]))
    assert "labels" not in meta["guide_data_format"]["inputs"]
    assert load_model(out, demo_kind="ddpm").digest == drawer.digest


def test_name_that_is_no_name_is_refused():
    with pytest.raises(ValueError, match="name='my model'"):
        ExportSpec("my model")


def test_every_layout_keeps_one_manifest(exports):
    found = [exported.read_manifest(exports[layout]) for layout in LAYOUTS]
    cards = [{role: m["models"][role]["card"] for role in exported.ROLES} for m in found]
    assert cards[0] == cards[1] == cards[2]
    assert found[0]["sampler"] == found[1]["sampler"] == found[2]["sampler"]

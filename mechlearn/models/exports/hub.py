"""A folder for the Hugging Face hub: model card with front matter, config.json, safetensors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

import mechlearn
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.models.exports.folder import KEY
from mechlearn.models.exports.layout import Layout, license_text, write_json
from mechlearn.models.exports.words import Pair

__all__ = ["LAYOUT", "front_matter", "write"]

LAYOUT = Layout(
    "config.json",
    {"denoiser": "denoiser/model.safetensors", "guide": "guide/model.safetensors"},
)


def front_matter(pair: Pair) -> dict[str, Any]:
    """The metadata of the model card, with the fields of the hub."""
    card: dict[str, Any] = {
        "license": pair.license,
        "library_name": "mechlearn",
        "pipeline_tag": "image-to-image",
        "tags": ["medical", "mri", "brain-tumor", "glioma", "diffusion", "guided-diffusion",
                 *(["phantom"] if pair.phantom else [])],
        "metrics": ["ssim", "spearmanr"],
        "model_name": pair.name,
    }  # fmt: skip
    if pair.license == "other":
        card |= {"license_name": "see-license", "license_link": "LICENSE"}
    if pair.datasets:
        card["datasets"] = list(pair.datasets)
    # `datasets` allows only names of the hub's data sets; `trained_on` describes the data.
    return card | {"trained_on": pair.sources}


def write(folder: Path, pair: Pair, manifest: dict[str, Any]) -> None:
    """Write all files except the weights."""
    config = {
        "model_type": "mechlearn", "mechlearn_version": mechlearn.__version__, KEY: manifest,
    }  # fmt: skip
    write_json(folder / LAYOUT.manifest, config)
    head = yaml.safe_dump(front_matter(pair), sort_keys=False, allow_unicode=True)
    text = f"---\n{head}---\n\n{pair.sections(_usage(pair))}"
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "LICENSE").write_text(license_text(pair.license), encoding="utf-8")


def _arguments(spec: SamplerSpec) -> str:
    """Settings that differ from the defaults, as Python arguments."""
    usual = asdict(SamplerSpec())
    return ", ".join(f"{k}={v!r}" for k, v in asdict(spec).items() if v != usual[k])


def _usage(pair: Pair) -> str:
    return f"""\
Give the folder, or `hf://OWNER/{pair.name}` with `pip install "mechlearn[hub]"`, in place of a
checkpoint:

    python -m mechlearn.forecast patient=visits.csv day=120 \\
        checkpoints.denoiser=FOLDER checkpoints.guide=FOLDER
    python -m mechlearn.evaluate +experiment=sizes \\
        checkpoints.denoiser=FOLDER checkpoints.guide=FOLDER

    from mechlearn.diffusion.sampler_spec import SamplerSpec
    from mechlearn.evaluation.model_pair import generate, load_models

    spec = SamplerSpec({_arguments(pair.sampler)})
    models = load_models("FOLDER", "FOLDER", spec=spec)
    # generate(models.sampler, an AxialSlice with its tumour, [GuidanceTarget(0.08)], seed=0)

Weights are float tensors in safetensors; `config.json` names only classes of `mechlearn` and
`monai`, and anything else is refused."""

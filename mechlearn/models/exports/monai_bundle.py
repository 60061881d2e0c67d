"""A MONAI bundle: metadata, an inference config for `python -m monai.bundle run`, documentation.

The specification requires models/model.pt (here the denoiser) and the definition of the network in
metadata.json, where it is in the cards of the manifest.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mechlearn
from mechlearn.models.exports.folder import KEY
from mechlearn.models.exports.layout import Layout, license_text, write_json
from mechlearn.models.exports.words import INTENDED, NO_DEVICE, PAPER, Pair
from mechlearn.models.label_networks import LABEL_CHANNELS

__all__ = ["LAYOUT", "inference", "metadata", "write"]

LAYOUT = Layout(
    "configs/metadata.json", {"denoiser": "models/model.pt", "guide": "models/guide.pt"}
)
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
PACKAGES = ("nibabel", "einops", "hydra-core", "scipy", "fire")
LOGGING = """\
[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=plain

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
level=INFO
formatter=plain
args=(sys.stdout,)

[formatter_plain]
format=%(asctime)s %(name)s: %(message)s
"""


def metadata(pair: Pair, manifest: dict[str, Any]) -> dict[str, Any]:
    """configs/metadata.json: keys of the specification, and the manifest under `mechlearn`."""
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported by mechlearn {mechlearn.__version__}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {
            "mechlearn": mechlearn.__version__, **{p: _version(p) for p in PACKAGES},
        },
        "supported_apps": {},
        "name": pair.name,
        "task": "Brain MRI at another tumour size, by guided diffusion",
        "description": pair.summary,
        "authors": pair.authors or "not given",
        "copyright": f"Copyright (c) {pair.authors}" if pair.authors else "not given",
        "data_source": "; ".join(pair.sources),
        "data_type": "nibabel",
        "image_classes": f"skull-stripped, co-registered MRI: {', '.join(pair.contrasts)}",
        "eval_metrics": {},
        "intended_use": f"{INTENDED} {NO_DEVICE}",
        "warning": NO_DEVICE,
        "references": [PAPER.replace("*", "")],
        "network_data_format": _denoiser_format(pair),
        "guide_data_format": _guide_format(pair),
        KEY: manifest,
    }  # fmt: skip


def _version(package: str) -> str:
    """Installed version of a package; a default for fire, which is in an extra."""
    try:
        return version(package)
    except ModuleNotFoundError:
        return "0.5.0"


def _tensor(kind: str, channels: dict[str, str], shape: list[int], **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "format": kind, "modality": "MR", "num_channels": len(channels),
        "spatial_shape": shape, "dtype": "float32", "value_range": [], "is_patch_data": False,
        "channel_def": channels, **more,
    }  # fmt: skip


def _inputs(pair: Pair) -> dict[str, Any]:
    size, levels = pair.denoiser.size, pair.denoiser.schedule.levels
    image = {str(i): f"{name} at the noise level" for i, name in enumerate(pair.contrasts)}
    level = {"0": "noise level, 1 to the number of levels; a guide also reads 0, the clean image"}
    inputs = {
        "image": _tensor("image", image, [size, size], format="magnitude"),
        "timestep": _tensor("timesteps", level, [], dtype="int64", value_range=[0, levels]),
    }
    classes = pair.denoiser.card["network"].get("classes")
    if classes is not None:
        label = {"0": "class of the slice"}
        inputs["label"] = _tensor("classes", label, [], dtype="int64", value_range=[0, classes - 1])
    return inputs


def _denoiser_format(pair: Pair) -> dict[str, Any]:
    size, names, inputs = pair.denoiser.size, pair.contrasts, _inputs(pair)
    if hasattr(pair.denoiser.module, "label_channels"):
        seen = {str(i): name for i, name in enumerate(LABEL_CHANNELS)}
        inputs["labels"] = _tensor("image", seen, [size, size], format="segmentation",
                                   value_range=[0, 1])  # fmt: skip
    out = [f"predicted noise of {n}" for n in names] + [f"variance of {n}" for n in names]
    channels = {str(i): words for i, words in enumerate(out)}
    pred = _tensor("image", channels, [size, size], format="magnitude")
    return {"inputs": inputs, "outputs": {"pred": pred}}


def _guide_format(pair: Pair) -> dict[str, Any]:
    size = pair.guide.size
    brain = _tensor("image", {"0": "brain"}, [size, size], format="segmentation",
                    value_range=[0, 1])  # fmt: skip
    read = {"0": str(pair.guide.card["target"])}
    inputs = {k: v for k, v in _inputs(pair).items() if k != "label"}
    return {
        "inputs": {**inputs, "brain": brain},
        "outputs": {"fraction": _tensor("probabilities", read, [], value_range=[0, 1])},
    }


def inference(pair: Pair) -> dict[str, Any]:
    """configs/inference.json; its ids can be overridden on the command line."""
    sizes = ("multiple", "area_mm2", "fraction")
    files = ("brain_mask", "seg", "label_scheme", "name")
    item = ", ".join(f"'{key}': @{key}" for key in ("image", *files))
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$'cuda' if torch.cuda.is_available() else 'cpu'",
        "image": dict.fromkeys(pair.contrasts),
        "brain_mask": None,
        "seg": None,
        "label_scheme": "brats2023",
        "name": "scan",
        "slices": "largest",
        **dict.fromkeys(sizes),
        "seed": 0,
        "fill": "background",
        "sampler": {"_target_": "mechlearn.diffusion.sampler.SamplerSpec", **asdict(pair.sampler)},
        "models": {
            "_target_": "mechlearn.evaluation.model_pair.load_models", "denoiser": "@bundle_root",
            "guide": "@bundle_root", "spec": "@sampler", "device": "@device",
        },
        "network_def": pair.denoiser.card["network"],  # for monai.bundle.load; models has its own
        "inferer": "$@models.sampler",
        "datalist": f"$[{{{item}}}]",
        "dataset": {"_target_": "monai.data.Dataset", "data": "@datalist"},
        "evaluator": {
            "_target_": "mechlearn.evaluation.bundle_inference.GuidedInference",
            "models": "@models",
            "dataset": "@dataset", "dataset_dir": "@dataset_dir", "output_dir": "@output_dir",
            "slices": "@slices", "seed": "@seed", "fill": "@fill",
            "size": {"_target_": "mechlearn.evaluation.bundle_inference.SizeRequest",
                     **{key: f"@{key}" for key in sizes}},
        },
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def write(folder: Path, pair: Pair, manifest: dict[str, Any]) -> None:
    """Write all files except the weights."""
    write_json(folder / LAYOUT.manifest, metadata(pair, manifest))
    write_json(folder / "configs" / "inference.json", inference(pair))
    (folder / "configs" / "logging.conf").write_text(LOGGING, encoding="utf-8")
    docs = folder / "docs"
    docs.mkdir()
    (docs / "README.md").write_text(pair.sections(_usage(pair)), encoding="utf-8")
    (folder / "LICENSE").write_text(license_text(pair.license), encoding="utf-8")


def _usage(pair: Pair) -> str:
    images = " ".join(f"--image#{name} {name}.nii.gz" for name in pair.contrasts)
    several = len(pair.contrasts) > 1
    one = f"a volume of {len(pair.contrasts)} channels, or files by contrast ({images})"
    return f"""\
With `pip install "mechlearn[bundle]"`, from this folder:

    python -m monai.bundle run --config_file configs/inference.json --bundle_root . \\
        --image scan.nii.gz --multiple 1.5

| option | what it is | default |
|---|---|---|
| `--image` | NIfTI slice or volume: {one if several else "one contrast"} | |
| `--multiple`, `--area_mm2`, `--fraction` | the size asked for, one of the three: times the \
present size, in mm2, or tumour over brain area of the slice | |
| `--slices` | `largest` (the slice with most tumour), `tumour` (each with tumour), a number or a \
list; counted from the lowest, 0 | `largest` |
| `--seg`, `--label_scheme` | segmentation that says what the present size is; without one the \
guide reads it | none, `brats2023` |
| `--brain_mask` | where the images are not skull-stripped | none |
| `--output_dir` | where results go | `eval` |
| `--fill` | other slices of the files: `background` (0) or `source` | `background` |
| `--name`, `--dataset_dir`, `--seed`, `--device` | of the results; where relative paths start; of \
the sampler; `cpu` or `cuda` | |
| `--sampler#nl`, ... | the recipe below | |

`NAME-CONTRAST.nii.gz` are the generated slices on the voxel grid and in the intensities of the
source, `NAME-generated.npz` holds them as the sampler gave them, `NAME-table.csv` the sizes. For
several scans override `datalist`. Percentiles, orientation and grid are the bundle's own work.

MONAI runs whatever a bundle's configuration says: read `configs/inference.json` before you run a
bundle from a stranger. In Python `mechlearn.models.checkpoints.load_denoiser(FOLDER)` and
`load_guide(FOLDER)` read weights and cards alone, and accept networks of `mechlearn` and `monai`
only."""

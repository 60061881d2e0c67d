"""An exported pair on disk: a manifest in JSON, and one file of weights for each network.

All layouts have the same manifest, under the key `mechlearn` of `config.json` (safetensors, Hugging
Face) or `configs/metadata.json` (MONAI bundle):

    {"format": 1, "name": ..., "description": ..., "sampler": {...},
     "models": {"denoiser": {"file": ..., "sha256": ..., "dtype": ..., "card": {...}},
                "guide": {...}}}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from mechlearn.checks import one_of
from mechlearn.models.checkpoint_files import check_card
from mechlearn.models.torch_files import read_torch

__all__ = [
    "FORMAT",
    "KEY",
    "MANIFESTS",
    "ROLES",
    "is_export",
    "local_path",
    "read_manifest",
    "read_member",
    "write_weights",
]

KEY = "mechlearn"
FORMAT = 1
ROLES = ("denoiser", "guide")
MANIFESTS = ("config.json", "configs/metadata.json")
HUB = re.compile(r"hf:/{1,2}(?P<repo>[^/@]+/[^/@]+)(@(?P<revision>[^@]+))?")  # Path removes a slash
HUB_FILES = [*MANIFESTS, "*.safetensors", "models/*.pt"]


def is_export(folder: Path) -> bool:
    """Whether a folder holds an exported pair (complete or damaged)."""
    for name in MANIFESTS:
        try:
            content = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and KEY in content:
            return True
    return False


def local_path(path: str | Path) -> Path:
    """`path` itself, or the local copy of `hf://owner/name[@revision]`, downloaded if needed.

    Raises:
        ValueError: a malformed hf:// path, or huggingface_hub is not installed.
        FileNotFoundError: the hub has no such repository, or cannot be reached.
    """
    text = str(path)
    if not text.startswith("hf:/"):
        return Path(path)
    found = HUB.fullmatch(text)
    if found is None:
        raise ValueError(f"checkpoint {text}: a path on the hub is hf://OWNER/NAME[@REVISION].")
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise ValueError(
            f"checkpoint {text}: reading from the hub needs huggingface_hub. "
            'pip install "mechlearn[hub]", or give a folder.'
        ) from error
    refused = (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.HFValidationError)
    try:
        return Path(snapshot_download(
            found["repo"], revision=found["revision"], allow_patterns=HUB_FILES
        ))  # fmt: skip
    except refused as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"checkpoint {text}: cannot be downloaded from the hub ({reason}). Check the name, the "
            "connection and, for a private repository, your login."
        ) from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an exported pair.

    Raises:
        ValueError: no manifest, invalid JSON, another format, a missing entry.
    """
    path = next((folder / name for name in MANIFESTS if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(
            f"checkpoint {folder}: a folder without {' or '.join(MANIFESTS)} is not an exported "
            "pair. Export one with python -m mechlearn.export, or give a checkpoint file."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not valid JSON ({error}). Export the pair again.") from error
    manifest = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(manifest, dict):
        raise ValueError(f"{path}: has no '{KEY}' entry, so it does not describe an exported pair.")
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{path}: export format {manifest.get('format')!r}, this version reads {FORMAT}. "
            "Use the mechlearn that wrote it, or export again."
        )
    models = manifest.get("models")
    for role in ROLES:
        entry = models.get(role) if isinstance(models, dict) else None
        kinds = {"file": str, "sha256": str, "card": dict}
        held = entry if isinstance(entry, dict) else {}
        lacking = [key for key, kind in kinds.items() if not isinstance(held.get(key), kind)]
        if lacking:
            raise ValueError(f"{path}: {KEY}.models.{role} lacks {', '.join(lacking)}.")
    return manifest


def read_member(folder: Path, role: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(card, weights as stored) of the `denoiser` or the `guide`.

    Raises:
        FileNotFoundError: the file of weights is missing.
        ValueError: see `read_manifest`; also weights that differ from the exported ones.
    """
    entry = read_manifest(folder)["models"][one_of("role", role, ROLES)]
    path = (folder / entry["file"]).resolve()
    if not _inside(folder, entry["file"]):
        raise ValueError(f"{folder}: weights {entry['file']!r} are outside the folder; refused.")
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder}: {entry['file']}, the weights of the {role}, is missing. Copy the complete "
            "folder, or export again."
        )
    if _sha256(path) != entry["sha256"]:
        raise ValueError(
            f"{path}: is not the exported file (its SHA-256 differs): it is damaged, truncated or "
            "a Git LFS pointer. Copy it again."
        )
    check_card(entry["card"], f"{folder} ({role})")
    return dict(entry["card"]), _load(path)


def _inside(folder: Path, name: str) -> bool:
    """A relative path without `..`; links may point outside (the hub's cache uses links)."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _load(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".pt":
        weights: dict[str, Tensor] = read_torch(path, what="weights")
        return weights
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise ValueError(f"{path}: is not a safetensors file ({error}). Export again.") from error


def write_weights(
    folder: Path, name: str, state_dict: Mapping[str, Tensor], *, half: bool
) -> dict[str, Any]:
    """Write weights to folder/name (.safetensors or .pt); returns the manifest entry, no card.

    Floating-point weights are stored as float32, or as float16 with `half`.

    Raises:
        ValueError: a weight that is not finite, or beyond float16 with `half`.
    """
    dtype = torch.float16 if half else torch.float32
    weights = {}
    for key, value in state_dict.items():
        kept = value.to(dtype) if value.is_floating_point() else value
        if not torch.isfinite(kept).all():
            raise ValueError(
                f"weight {key}: not finite in {dtype}. "
                + ("Use half=false." if torch.isfinite(value).all() else "Train again.")
            )
        weights[key] = kept.detach().cpu().contiguous().clone()
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pt":
        torch.save(weights, path)
    else:
        # save_file would make it readable only by its owner.
        path.write_bytes(save(weights, metadata={"format": "pt"}))
    return {"file": name, "sha256": _sha256(path), "dtype": str(dtype).removeprefix("torch.")}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Write a trained pair as a folder, atomically."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mechlearn.checks import one_of
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.models.checkpoints import LoadedModel, check_pair
from mechlearn.models.exports import hub, monai_bundle
from mechlearn.models.exports.folder import FORMAT, KEY, is_export, write_weights
from mechlearn.models.exports.layout import Layout, write_json
from mechlearn.models.exports.words import Pair

__all__ = ["LAYOUTS", "ExportSpec", "check_free", "export_pair"]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
PLAIN = Layout("config.json", {"denoiser": "denoiser.safetensors", "guide": "guide.safetensors"})
LAYOUTS: dict[str, tuple[Layout, Callable[[Path, Pair, dict[str, Any]], None]]] = {
    "safetensors": (PLAIN, lambda folder, _, manifest: write_json(
        folder / PLAIN.manifest, {KEY: manifest})),
    "monai": (monai_bundle.LAYOUT, monai_bundle.write),
    "huggingface": (hub.LAYOUT, hub.write),
}  # fmt: skip


@dataclass(frozen=True)
class ExportSpec:
    """Settings and texts of an export in addition to the cards.

    Attributes:
        name: of the model; letters, digits, '.', '_', '-'.
        description: one or two sentences; '' for a general one.
        sampler: recommended sampler settings, and the bundle's default.
        half: store float16.
        license: of the weights, in the hub's spelling (apache-2.0, cc-by-nc-4.0, other).
        authors: of the weights.
        trained_on: training data, if the cards do not have them.
        datasets: names of data sets on the hub, for the model card.
    """

    name: str
    description: str = ""
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    half: bool = False
    license: str = "apache-2.0"
    authors: str = ""
    trained_on: str | None = None
    datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"name={self.name!r}: must be at most 96 letters, digits, '.', '_' and '-', "
                "and begin with a letter or digit. Rename it."
            )


def export_pair(
    denoiser: LoadedModel,
    guide: LoadedModel,
    out: str | Path,
    *,
    layout: str,
    spec: ExportSpec,
    overwrite: bool = False,
) -> Path:
    """Write a checked pair in one of the LAYOUTS; `load_denoiser` and `load_guide` read it back.

    Args:
        denoiser, guide: what `load_denoiser` and `load_guide` return.
        out: the folder; its parents are made.
        layout: safetensors, monai or huggingface.
        spec: name, sampler settings, precision.
        overwrite: replace an older export; other folders are never replaced.

    Returns:
        The folder.

    Raises:
        ValueError: models that do not match, unknown layout, a weight that is not finite, or `out`
            exists and must not be replaced.
    """
    place, write = LAYOUTS[one_of("format", layout, tuple(LAYOUTS))]
    check_pair(denoiser, guide)
    out = Path(out)
    check_free(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        partial = scratch / "new"
        partial.mkdir()  # with the user's default mode, unlike mkdtemp
        models = {}
        for role, model in (("denoiser", denoiser), ("guide", guide)):
            weights = model.module.state_dict()
            entry = write_weights(partial, place.weights[role], weights, half=spec.half)
            models[role] = {**entry, "card": model.card}
        pair = Pair(denoiser, guide, **{k: getattr(spec, k) for k in Pair.WORDS})
        write(partial, pair, {
            "format": FORMAT, "name": spec.name, "description": pair.summary,
            "sampler": asdict(spec.sampler), "models": models,
        })  # fmt: skip
        if out.exists():
            os.replace(out, scratch / "old")
        os.replace(partial, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return out


def check_free(out: Path, *, overwrite: bool) -> None:
    """ValueError unless `out` does not exist, is empty, or is an export to be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out.is_dir() and is_export(out)):
        raise ValueError(
            f"out={out}: exists and is not an exported pair, so it is not replaced. Choose another "
            "path."
        )
    if not overwrite:
        raise ValueError(
            f"out={out}: an export exists. Choose another folder, or give overwrite=true."
        )

"""Write a trained pair as a folder that appears complete or not at all."""

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
    """What an export says beside the cards.

    Attributes:
        name: of the model; letters, digits, '.', '_', '-'.
        description: one or two sentences; '' for a general one.
        sampler: the recipe that is recommended, and the bundle's default.
        half: store float16.
        license: of the weights, as the hub writes it (apache-2.0, cc-by-nc-4.0, other).
        authors: of the weights.
        trained_on: where the cards do not say it.
        datasets: names of the hub's own data sets, for the model card.
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
                "beginning with a letter or digit (it names a model). Rename it."
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
        spec: name, recipe, precision.
        overwrite: replace an older export; no other folder is ever replaced.

    Returns:
        The folder.

    Raises:
        ValueError: models that do not fit each other, unknown layout, a weight that is not finite,
            or `out` exists and may not be replaced.
    """
    place, write = LAYOUTS[one_of("format", layout, tuple(LAYOUTS))]
    check_pair(denoiser, guide)
    out = Path(out)
    check_free(out, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        partial = scratch / "new"
        partial.mkdir()  # with the user's own mode, unlike mkdtemp's
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
    """ValueError unless `out` is free, empty, or an export that may be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out.is_dir() and is_export(out)):
        raise ValueError(
            f"out={out}: exists and is no exported pair; it is never replaced. Choose another path."
        )
    if not overwrite:
        raise ValueError(
            f"out={out}: an export is there already. Choose another folder, or overwrite=true."
        )

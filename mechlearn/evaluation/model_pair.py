"""The models of a job: denoiser, guide and the sampler built from both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.label_sampler import LabelSampler
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scan_drawing import load_drawer
from mechlearn.models.checkpoints import LoadedModel, build_sampler, load_denoiser, load_guide
from mechlearn.records import AxialSlice, Generation, GuidanceTarget
from mechlearn.spatial.flair_threshold import FlairThreshold
from mechlearn.spatial.order_prior import load_prior

__all__ = [
    "ModelBundle",
    "Sampler",
    "generate",
    "load_models",
    "flair_threshold_of",
    "sampler_row",
    "target_of",
    "unguided",
    "with_noise",
]


class Sampler(Protocol):
    """The interface of a sampler."""

    @property
    def spec(self) -> SamplerSpec: ...

    @property
    def effective_scale(self) -> float: ...

    def sample(
        self, x0: Tensor, targets: Sequence[GuidanceTarget], *, brain: Tensor, seed: int = 0,
        slice_id: str = "",
    ) -> list[Generation]: ...  # fmt: skip

    def reconstruct(
        self, x0: Tensor, *, brain: Tensor, seed: int = 0, slice_id: str = ""
    ) -> Tensor: ...


@dataclass(frozen=True)
class ModelBundle:
    """A pair of checkpoints that match, and their sampler."""

    denoiser: LoadedModel
    guide: LoadedModel
    sampler: GuidedSampler | LabelSampler

    @property
    def name(self) -> str:
        """One line that names the weights."""
        words = [f"denoiser {Path(self.denoiser.source).name}",
                 f"guide {Path(self.guide.source).name} ({self.guide.kind})",
                 f"version {self.denoiser.card.get('version', '?')}"]
        trained_on = self.denoiser.card.get("trained_on")
        return ", ".join([*words, f"trained on {trained_on}"] if trained_on else words)

    @property
    def row(self) -> Row:
        """Keys that identify models and sampler in a row."""
        return {
            "denoiser": Path(self.denoiser.source).name,
            "guide": self.guide.kind,
            "guide_gain": self.guide.gain,
            "weights": f"{self.denoiser.digest}/{self.guide.digest}",
            "model_version": str(self.denoiser.card.get("version", "")),
            "size_px": self.denoiser.size,
            "pixel_mm": self.denoiser.pixel_mm,
            **sampler_row(self.sampler),
        }


def load_models(
    denoiser: str | Path = "demo",
    guide: str | Path = "demo",
    *,
    spec: SamplerSpec,
    guide_kind: str = "segmenter",
    device: str = "cpu",
) -> ModelBundle:
    """Load and check a pair of checkpoints (`demo`: the packaged ones) and build the sampler."""
    if spec.guidance == "labels":
        if spec.order != "travel":
            load_prior(spec.order)  # raises here for a wrong file, before anything is generated
        drawer = load_drawer(denoiser, key="checkpoints.denoiser")
        reader = load_guide(guide, kind=guide_kind)
        return ModelBundle(drawer, reader, LabelSampler(drawer, reader, spec))
    pair = load_denoiser(denoiser), load_guide(guide, kind=guide_kind)
    return ModelBundle(*pair, build_sampler(*pair, spec, device=device))


def sampler_row(sampler: Sampler) -> Row:
    """Settings of the sampler as keys of a row, with scales as numbers; for a user's prior file
    also the digest of its content."""
    spec = sampler.spec
    row: Row = {k: v for k, v in asdict(spec).items() if k not in ("nl", "batch_size")}
    if spec.guidance == "labels" and spec.order not in ("phantom", "travel"):
        content = Path(spec.order).expanduser().read_bytes()
        row["order_digest"] = hashlib.sha256(content).hexdigest()[:12]  # the file can change
    return row | {
        "noise_level": spec.nl,
        "scale": spec.scale_value,
        "effective_scale": float(sampler.effective_scale),
        "steps": spec.steps if spec.steps is not None else spec.nl,
    }


def with_noise(sampler: Sampler) -> Sampler:
    """The sampler with `encode=noise`, so that equal targets give different images.

    A `LabelSampler`, or a sampler with `anchor`, which needs the inversion, is returned unchanged.
    """
    if not isinstance(sampler, GuidedSampler) or sampler.spec.anchor:
        return sampler
    return GuidedSampler(
        sampler.denoiser, sampler.guide, schedule=sampler.schedule,
        spec=replace(sampler.spec, encode="noise"), pixel_mm=sampler.pixel_mm, gain=sampler.gain,
        device=sampler.device,
    )  # fmt: skip


def generate(
    sampler: Sampler, reference: AxialSlice, targets: Sequence[GuidanceTarget], *, seed: int
) -> list[Generation]:
    """Generations from one slice, one for every target, in their order."""
    if isinstance(sampler, LabelSampler):
        return sampler.draw(reference, targets, seed=seed)
    return sampler.sample(
        torch.from_numpy(reference.image), targets, brain=torch.from_numpy(reference.brain),
        seed=seed, slice_id=reference.slice_id,
    )


def target_of(reference: AxialSlice, follow_up: AxialSlice) -> GuidanceTarget:
    """The true size at the follow-up, over the brain area of the reference slice."""
    return GuidanceTarget(min(follow_up.tumour_area_mm2 / reference.brain_area_mm2, 1.0))


def flair_threshold_of(reference: AxialSlice) -> FlairThreshold:
    """The FLAIR threshold of this slice, to measure sizes; ValueError without FLAIR or tumour."""
    return FlairThreshold.fit(
        reference.image, reference.tumour, reference.brain, contrasts=reference.contrasts,
        pixel_mm=reference.spacing_mm[0],
    )  # fmt: skip


def unguided(sampler: Sampler, reference: AxialSlice, *, seed: int) -> Tensor:
    """The image after encoding and denoising without guidance, (C, H, W)."""
    return sampler.reconstruct(
        torch.from_numpy(reference.image), brain=torch.from_numpy(reference.brain), seed=seed,
        slice_id=reference.slice_id,
    )

"""Checkpoints with a card: builtin values that describe the weights."""

from __future__ import annotations

import hashlib
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mechlearn
from mechlearn.checks import one_of
from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoint_files import CARD_KEY, GUIDES, KINDS, packaged, read_checkpoint
from mechlearn.models.exports.folder import local_path, read_member
from mechlearn.models.network_targets import build_network
from mechlearn.models.networks import predicted_noise
from mechlearn.models.torch_files import read_torch, write_torch

__all__ = [
    "CARD_KEY",
    "KINDS",
    "LoadedModel",
    "build_network",
    "build_sampler",
    "check_pair",
    "export",
    "load_denoiser",
    "load_guide",
    "load_model",
    "make_card",
    "set_gain",
]

log = logging.getLogger(__name__)
_SHOWN = 300  # characters of torch's list of weights
TARGET = "tumour area / brain area of the axial slice"


def _git_revision() -> str:
    """Git revision of the checkout, or '' for an installed wheel."""
    root = Path(mechlearn.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip()


def make_card(
    kind: str, network: Mapping[str, Any], schedule: NoiseSchedule, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The card of a checkpoint, builtin values only.

    Args:
        kind: ddpm, regressor or segmenter.
        network: {_target_, arguments}.
        schedule: noise schedule of the training.
        data: `SliceStore.card()`: contrasts, size, pixel_mm, intensity.
    """
    one_of("model.kind", kind, KINDS)
    return {
        "format": 1,
        "kind": kind,
        "network": dict(network),
        "schedule": schedule.as_dict(),
        "data": dict(data),
        "target": TARGET,
        "gain": 1.0,
        "version": mechlearn.__version__,
        "git": _git_revision(),
    }


@dataclass
class LoadedModel:
    """A network in eval mode, with its card."""

    module: nn.Module
    card: dict[str, Any]
    source: str = field(default="")

    @property
    def kind(self) -> str:
        return str(self.card["kind"])

    @cached_property
    def digest(self) -> str:
        """Eight characters of a digest of all weights and of the card."""
        total = hashlib.sha256(repr(sorted(self.card.items())).encode())
        for name, value in sorted(self.module.state_dict().items()):
            total.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return total.hexdigest()[:8]

    @cached_property
    def schedule(self) -> NoiseSchedule:
        return NoiseSchedule(**self.card["schedule"])

    @property
    def contrasts(self) -> tuple[str, ...]:
        return tuple(self.card["data"]["contrasts"])

    @property
    def size(self) -> int:
        return int(self.card["data"]["size"])

    @property
    def pixel_mm(self) -> float:
        return float(self.card["data"]["pixel_mm"])

    @property
    def intensity(self) -> dict[str, Any]:
        return dict(self.card["data"]["intensity"])

    @property
    def gain(self) -> float:
        """Factor on the guidance scale (`evaluation.gain`); 1 for a guide without calibration."""
        return float(self.card["gain"])

    def epsilon(self, x_l: Tensor, l: Tensor) -> Tensor:
        """Predicted noise of a denoiser, (B, C, H, W): see `predicted_noise`."""
        return predicted_noise(self.module, x_l, l)


def load_model(path: str | Path, *, demo_kind: str = "") -> LoadedModel:
    """Load a checkpoint, an exported file, or a member of an exported pair; EMA weights if any.

    Args:
        path: file; folder of an exported pair, also `hf://owner/name`; `demo`: packaged weights.
        demo_kind: kind of the member of a pair: ddpm, or that of a guide.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of mechlearn, or damaged.
    """
    source = packaged(demo_kind) if str(path) == "demo" else local_path(path)
    if source.is_dir():
        role = "denoiser" if one_of("kind", demo_kind, KINDS) == "ddpm" else "guide"
        card, weights = read_member(source, role)
    else:
        card, weights = read_checkpoint(source)
    try:
        module = build_network(card["network"])
    except ValueError as error:
        raise ValueError(f"checkpoint {source}: {error}") from error
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"checkpoint {source}: its weights do not match the network of its card. "
            f"{reason[:_SHOWN]}"
        ) from error
    name = str(source) if str(path) == "demo" else str(path)  # hub: not its cache
    return LoadedModel(module.eval().requires_grad_(False), card, name)


def _expect(model: LoadedModel, kinds: tuple[str, ...], key: str) -> LoadedModel:
    if model.kind not in kinds:
        raise ValueError(
            f"{key}={model.source}: this checkpoint is a {model.kind}; must be "
            f"{' or '.join(kinds)}."
        )
    return model


def load_denoiser(path: str | Path = "demo") -> LoadedModel:
    """The DDPM at `path`; ValueError for a checkpoint of another kind."""
    return _expect(load_model(path, demo_kind="ddpm"), ("ddpm",), "checkpoints.denoiser")


def load_guide(path: str | Path = "demo", *, kind: str = "segmenter") -> LoadedModel:
    """The guide at `path`, a regressor or a segmenter; `kind` selects a packaged one."""
    model = load_model(path, demo_kind=one_of("guide", kind, GUIDES))
    return _expect(model, GUIDES, "checkpoints.guide")


def check_pair(denoiser: LoadedModel, guide: LoadedModel) -> None:
    """ValueError unless both have the same schedule, grid, contrasts and intensity scale."""
    pairs = {"schedule": (denoiser.card["schedule"], guide.card["schedule"])}
    for key in ("contrasts", "size", "pixel_mm", "intensity"):
        pairs[key] = (denoiser.card["data"][key], guide.card["data"][key])
    for key, (a, b) in pairs.items():
        if a != b:
            raise ValueError(
                f"checkpoints do not fit each other: {key} is {a} in the denoiser "
                f"({denoiser.source}) and {b} in the guide ({guide.source}). "
                "Train both with the same data and schedule."
            )


def build_sampler(
    denoiser: LoadedModel, guide: LoadedModel, spec: SamplerSpec, *, device: str = "cpu"
) -> GuidedSampler:
    """A sampler from two checkpoints; ValueError if `check_pair` refuses them."""
    check_pair(denoiser, guide)
    for model in (denoiser, guide):
        model.module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sampler = GuidedSampler(
        denoiser.epsilon, guide.module, schedule=denoiser.schedule, spec=spec,  # type: ignore[arg-type]
        pixel_mm=denoiser.pixel_mm, gain=guide.gain, device=device,
    )  # fmt: skip
    log.info(
        "scale %s: effective scale %.4g (%g mm pixels, %s with gain %.3g)",
        spec.scale, sampler.effective_scale, denoiser.pixel_mm, guide.kind, guide.gain,
    )  # fmt: skip
    return sampler


def export(checkpoint: str | Path, path: str | Path, *, half: bool = True, **card: Any) -> Path:
    """Write only weights and card, without optimiser state; float16 by default.

    Args:
        checkpoint: source, see `load_model`.
        path: file to write.
        half: store float16.
        card: entries added to the card, such as training_steps or trained_on.
    """
    model = load_model(checkpoint)
    dtype = torch.float16 if half else torch.float32
    weights = {k: v.to(dtype).contiguous() for k, v in model.module.state_dict().items()}
    return write_torch(path, {CARD_KEY: {**model.card, **card}, "state_dict": weights})


def set_gain(path: str | Path, gain: float, **notes: Any) -> None:
    """Store the gain of a guide, and notes on its measurement, in the guide's checkpoint."""
    content = read_torch(path)
    content[CARD_KEY] = {**content[CARD_KEY], "gain": float(gain), **notes}
    write_torch(path, content)

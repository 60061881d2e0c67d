"""Generations of one slice with all that they cost, by our sampler; full runs kept on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import Case, Models
from reference import ReferenceWay

from mechlearn.diffusion.guidance import effective_scale
from mechlearn.diffusion.sampler import GuidedSampler
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.model_pair import generate, unguided
from mechlearn.records import AxialSlice, Generation, GuidanceTarget

GUIDANCE = ("guidance", "dynamic", "clip_x0", "target_boost")

__all__ = ["Counter", "Sampled", "full_spec", "ours", "reference_way", "sampled_in_full"]


class Counter:
    """Counts the images that pass a denoiser and, with a gradient to follow, a guide."""

    def __init__(self, models: Models) -> None:
        self.models, self.denoised, self.gradients = models, 0, 0

    def epsilon(self, x_l: torch.Tensor, l: torch.Tensor) -> torch.Tensor:
        self.denoised += len(x_l)
        return self.models.epsilon(x_l, l)

    def _guided(self, module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled() and given[0].requires_grad:
            self.gradients += len(given[0])

    def __enter__(self) -> Counter:
        self._hook = self.models.guide.register_forward_pre_hook(self._guided)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


@dataclass(frozen=True)
class Sampled:
    """images (N, C, H, W) towards targets and weights (N,); unguided (C, H, W): what sampling
    changes by itself; what it cost, seconds on the clock and of the processor among it."""

    images: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    unguided: np.ndarray
    cost: dict[str, float]

    def generations(self) -> list[Generation]:
        """As the growth map takes them."""
        return [
            Generation(torch.from_numpy(i), GuidanceTarget(float(t), float(w)), 0, 0, 0, 0, 0, 0)
            for i, t, w in zip(self.images, self.targets, self.weights, strict=True)
        ]

    def towards(self, targets: np.ndarray) -> Sampled:
        """Of these images those whose targets are nearest to other ones: what generations towards
        them would be, to the spacing of a hundred targets."""
        nearest = np.abs(self.targets[None] - targets[:, None]).argmin(axis=1)
        weights = np.full(len(targets), 1 / len(targets))
        return replace(self, images=self.images[nearest], targets=targets, weights=weights)


def full_spec(spec: SamplerSpec) -> SamplerSpec:
    """`spec`'s guidance at the full price: every level, every gradient, first order, float32."""
    return replace(
        spec, steps=None, solver="ddim", invert_iterations=1, anchor=False,
        precision="float32", batch_size=25,
    )  # fmt: skip


def reference_way(models: Models, spec: SamplerSpec, device: str) -> ReferenceWay:
    """The reference's loop at `spec`'s strength."""
    scale = effective_scale(spec.scale_value, pixel_mm=models.pixel_mm, gain=models.gain)
    return ReferenceWay(models.epsilon, models.guide, models.schedule, spec.nl, scale,
                        spec.smooth_px, device)  # fmt: skip


def ours(
    models: Models,
    reference: AxialSlice,
    targets: Sequence[GuidanceTarget],
    spec: SamplerSpec,
    *,
    device: str = "cpu",
) -> Sampled:
    """Generations of our sampler and an unguided one, counted and timed together."""
    with Counter(models) as counter:
        sampler = GuidedSampler(
            counter.epsilon, models.guide, schedule=models.schedule, spec=spec,
            pixel_mm=models.pixel_mm, gain=models.gain, device=device,
        )  # fmt: skip
        begun, busy = time.perf_counter(), time.process_time()
        made = generate(sampler, reference, targets, seed=0)
        still = unguided(sampler, reference, seed=0)
        cost = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - busy,
                "denoiser": counter.denoised, "gradients": counter.gradients}  # fmt: skip
    return Sampled(
        np.stack([g.image.numpy() for g in made]), np.array([t.tumour_fraction for t in targets]),
        np.array([t.weight for t in targets]), still.numpy(), cost,
    )  # fmt: skip


def sampled_in_full(
    models: Models, case: Case, spec: SamplerSpec, folder: Path, *, seed: int = 0,
    only_kept: bool = False,
) -> Sampled | None:
    """All levels, all targets, float32, in batches: the reference's images to 1e-5.

    Kept in `folder` under a fingerprint of weights, settings, image and targets, and taken from
    there by a later run; with `only_kept` None where it is not there.
    """
    settings = full_spec(spec)
    name = case.reference.slice_id.replace("/", "_")
    path = folder / f"{name}-{_mark(models, case, settings, seed)}.npz"
    if path.is_file():
        with np.load(path) as held:
            cost = json.loads(str(held["cost"]))
            return Sampled(*(held[k] for k in ("images", "targets", "weights", "unguided")), cost)
    if only_kept:
        return None
    targets = [GuidanceTarget(float(f), 1 / case.targets[seed].size) for f in case.targets[seed]]
    made = ours(models, case.reference, targets, settings)
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, images=made.images, targets=made.targets, weights=made.weights,
             unguided=made.unguided, cost=json.dumps(made.cost))  # fmt: skip
    part.replace(path)
    return made


def _mark(models: Models, case: Case, spec: SamplerSpec, seed: int) -> str:
    """Changes with the weights, the strength of guidance, the slice and its targets."""
    plain = asdict(SamplerSpec())
    always = ("nl", "scale", "smooth_px")
    used: dict[str, Any] = {k: v for k, v in asdict(spec).items()
                            if k in always or (k in GUIDANCE and v != plain[k])}  # fmt: skip
    digest = hashlib.sha256(json.dumps([models.digest, models.gain, used]).encode())
    digest.update(case.reference.image.tobytes() + case.targets[seed].tobytes())
    return digest.hexdigest()[:12]

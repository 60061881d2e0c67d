"""Guided DDIM: encode a scan to a noise level, denoise it towards requested tumour sizes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import in_range, one_of
from mechlearn.diffusion.guidance import (
    Guide,
    effective_scale,
    fraction_and_gradient,
    guided_epsilon,
    smooth_gradient,
)
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import add_noise, ddim_step, predict_epsilon, predict_x0
from mechlearn.records import Generation, GuidanceTarget

__all__ = ["EpsilonModel", "GuidedSampler", "SamplerSpec", "member_seed", "parse_scale"]


class EpsilonModel(Protocol):
    """Predicted noise: x_l (B, C, H, W) and l (B,) in 1..L -> epsilon (B, C, H, W)."""

    def __call__(self, x_l: Tensor, l: Tensor) -> Tensor: ...


def parse_scale(text: str | float) -> float:
    """'50k' -> 50000.0, '1.5M' -> 1500000.0, '20000' -> 20000.0; ValueError otherwise."""
    word = str(text).strip()
    factor = {"k": 1e3, "M": 1e6}.get(word[-1:], 1.0)
    try:
        value = float(word if factor == 1.0 else word[:-1]) * factor
    except ValueError:
        value = float("nan")
    if not (np.isfinite(value) and value >= 0):
        raise ValueError(
            f"sampler.scale={text!r}: must be a number of 0 or more, such as 50000, 50k or 1.5M."
        )
    return value


def member_seed(seed: int, slice_id: str, member: int) -> int:
    """A seed for one generation: a function of (seed, slice, member) alone."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(slice_id.encode()), member])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


@dataclass
class SamplerSpec:
    """How to sample; what the `sampler` configuration group fills in.

    Attributes:
        nl: noise level the scan is encoded to, 1..L (the paper: 200).
        scale: s_ct in the paper's numbers, "50k": 10k weak, 50k about right, 500k too much.
        encode: `invert` (deterministic DDIM inversion) or `noise` (forward noise, as in the text).
        steps: number of levels visited, None for all `nl` of them.
        invert_iterations: fixed-point passes that make each inversion step the inverse of the
            denoising step; 1 is plain DDIM inversion.
        dynamic: s_dyn = target - R (signed); False: s_dyn = 1, guidance always upwards.
        clip_x0: clip the predicted x0 to [-1, 1] at each step, as the reference code does.
        smooth_px: Gaussian width over which the guide's gradient is smoothed; 0 as in the paper.
        target_boost: share by which the target is raised above level 20 (reference code: 0.15).
        keep_background: set pixels outside the brain mask to -1 at the end.
        batch_size: generations sampled at once; no effect on the results.
    """

    nl: int = 200
    scale: str = "50k"
    encode: str = "invert"
    steps: int | None = None
    invert_iterations: int = 3
    dynamic: bool = True
    clip_x0: bool = False
    smooth_px: float = 0.0
    target_boost: float = 0.0
    keep_background: bool = True
    batch_size: int = 8

    def __post_init__(self) -> None:
        in_range("sampler.nl", self.nl, 1, 1000, remedy="It counts noise levels; the paper: 200.")
        parse_scale(self.scale)
        one_of("sampler.encode", self.encode, ("invert", "noise"))
        if self.steps is not None:
            in_range("sampler.steps", self.steps, 1, self.nl,
                     remedy="At most sampler.nl levels can be visited; null visits all.")
        in_range("sampler.invert_iterations", self.invert_iterations, 1, 50)
        in_range("sampler.smooth_px", self.smooth_px, 0.0, 20.0)
        in_range("sampler.target_boost", self.target_boost, 0.0, 10.0)
        in_range("sampler.batch_size", self.batch_size, 1, 4096)

    @property
    def scale_value(self) -> float:
        """s_ct as a number."""
        return parse_scale(self.scale)

    @property
    def levels(self) -> list[int]:
        """Levels visited, ascending from 0 to nl."""
        stops = np.linspace(0, self.nl, (self.steps or self.nl) + 1)
        return sorted({int(round(s)) for s in stops})


class GuidedSampler:
    """Samples what a scan would look like at other tumour sizes.

    Args:
        denoiser: predicted noise. guide: tumour fraction. Both on one device.
        pixel_mm, gain: see `effective_scale`.
    """

    def __init__(
        self,
        denoiser: EpsilonModel,
        guide: Guide,
        *,
        schedule: NoiseSchedule,
        spec: SamplerSpec,
        pixel_mm: float = 1.0,
        gain: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        if spec.nl > schedule.levels:
            raise ValueError(
                f"sampler.nl={spec.nl}: the models' schedule has {schedule.levels} levels only."
            )
        self.denoiser, self.guide, self.schedule, self.spec = denoiser, guide, schedule, spec
        self.pixel_mm, self.gain, self.device = pixel_mm, gain, torch.device(device)
        self.effective_scale = effective_scale(spec.scale_value, pixel_mm=pixel_mm, gain=gain)

    def _level(self, l: int, like: Tensor) -> Tensor:
        return torch.full((like.shape[0],), l, device=like.device)

    def _alpha_bar(self, l: int) -> Tensor:
        return self.schedule.alpha_bar(l).to(self.device)

    @torch.no_grad()
    def encode(self, x0: Tensor, *, seeds: Sequence[int]) -> Tensor:
        """x at level nl: (1, C, H, W) shared by all members (`invert`) or (M, C, H, W) (`noise`).

        Args:
            x0: reference image, (C, H, W) in [-1, 1]. seeds: one a member; unused by `invert`.
        """
        x0 = x0.to(self.device).float()
        if self.spec.encode == "invert":
            return self._invert(x0[None])
        noise = [torch.randn(x0.shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
        epsilon = torch.stack(noise).to(self.device)
        return add_noise(x0[None], epsilon, alpha_bar=self._alpha_bar(self.spec.nl))

    def _invert(self, x: Tensor) -> Tensor:
        """DDIM inversion through the same levels that denoising visits, (1, C, H, W)."""
        for l, l_to in pairwise(self.spec.levels):
            ends = {"alpha_bar": self._alpha_bar(l), "alpha_bar_to": self._alpha_bar(l_to)}
            guess = x
            for _ in range(self.spec.invert_iterations):
                # Denoising from l_to will use epsilon(x_{l_to}, l_to): so does its inverse.
                guess = ddim_step(x, self.denoiser(guess, self._level(l_to, x)), **ends)
            x = guess
        return x

    @torch.no_grad()
    def denoise(self, x: Tensor, *, target: Tensor | None, brain: Tensor) -> Tensor:
        """From level nl to the image, guided towards `target` (M,), or unguided for None."""
        for l, l_to in pairwise(reversed(self.spec.levels)):
            level, alpha_bar = self._level(l, x), self._alpha_bar(l)
            epsilon = self.denoiser(x, level)
            if target is not None and self.effective_scale > 0:
                fraction, gradient = fraction_and_gradient(self.guide, x, level, brain=brain)
                gradient = smooth_gradient(gradient, self.spec.smooth_px)
                wanted = target * (1 + self.spec.target_boost * (l > 20))
                s_dyn = wanted - fraction if self.spec.dynamic else torch.ones_like(target)
                epsilon = guided_epsilon(
                    epsilon, gradient, alpha_bar=alpha_bar, scale=self.effective_scale * s_dyn
                )
            if self.spec.clip_x0:
                clean = predict_x0(x, epsilon, alpha_bar=alpha_bar).clamp(-1, 1)
                epsilon = predict_epsilon(x, clean, alpha_bar=alpha_bar)
            x = ddim_step(x, epsilon, alpha_bar=alpha_bar, alpha_bar_to=self._alpha_bar(l_to))
        return torch.where(brain > 0, x, -1.0) if self.spec.keep_background else x

    @torch.no_grad()
    def reconstruct(
        self, x0: Tensor, *, brain: Tensor, seed: int = 0, slice_id: str = ""
    ) -> Tensor:
        """Encode and denoise without guidance, (C, H, W): what the models change by themselves."""
        x = self.encode(x0, seeds=[member_seed(seed, slice_id, 0)])
        return self.denoise(x, target=None, brain=self._as_mask(brain))[0].cpu()

    def _as_mask(self, brain: Tensor) -> Tensor:
        return torch.as_tensor(brain, device=self.device).float()[None, None]

    def _read(self, image: Tensor, brain: Tensor) -> Tensor:
        return self.guide.fraction(image, self._level(0, image), brain)

    @torch.no_grad()
    def sample(
        self,
        x0: Tensor,
        targets: Sequence[GuidanceTarget],
        *,
        brain: Tensor,
        seed: int = 0,
        slice_id: str = "",
        first_member: int = 0,
    ) -> list[Generation]:
        """One generation a target, in their order, independent of the batch size.

        Args:
            x0: reference image, (C, H, W) in [-1, 1], background -1.
            brain: brain mask, (H, W), bool or 0/1.
            seed, slice_id, first_member: name the random numbers of the `noise` encoding.
        """
        mask = self._as_mask(brain)
        seeds = [member_seed(seed, slice_id, first_member + m) for m in range(len(targets))]
        shared = self.encode(x0, seeds=()) if self.spec.encode == "invert" else None
        before = float(self._read(x0.to(self.device)[None].float(), mask))
        out: list[Generation] = []
        for chunk in self._chunks(targets, seeds):
            start = self.encode(x0, seeds=[s for _, s in chunk]) if shared is None else shared
            wanted = torch.tensor([t.tumour_fraction for t, _ in chunk], device=self.device)
            x = start.expand(len(chunk), *start.shape[1:])
            images = self.denoise(x, target=wanted, brain=mask)
            after = self._read(images, mask).tolist()
            for (target, s), image, fraction in zip(chunk, images.cpu(), after, strict=True):
                out.append(Generation(
                    image, target, before, fraction, self.spec.nl,
                    self.spec.scale_value, self.effective_scale, s,
                ))  # fmt: skip
        return out

    def _chunks(
        self, targets: Sequence[GuidanceTarget], seeds: Sequence[int]
    ) -> Iterator[tuple[tuple[GuidanceTarget, int], ...]]:
        members = tuple(zip(targets, seeds, strict=True))
        for start in range(0, len(members), self.spec.batch_size):
            yield members[start : start + self.spec.batch_size]

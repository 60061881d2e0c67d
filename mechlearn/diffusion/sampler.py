"""Guided DDIM: encode a scan to a noise level, denoise it towards target tumour sizes."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mechlearn.diffusion.batch_target import BatchTarget
from mechlearn.diffusion.encoding import Encoding, invert, noise
from mechlearn.diffusion.evaluator import EpsilonModel, Evaluator
from mechlearn.diffusion.guidance import Guide, effective_scale
from mechlearn.diffusion.guidance_paper import PaperGuidance
from mechlearn.diffusion.levels import visited_levels
from mechlearn.diffusion.sampler_spec import SamplerSpec, parse_scale
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.solver import Solver
from mechlearn.diffusion.steps import clipped_epsilon
from mechlearn.records import Generation, GuidanceTarget

__all__ = ["EpsilonModel", "GuidedSampler", "SamplerSpec", "member_seed", "parse_scale"]

CPU_BATCH = 4


def member_seed(seed: int, slice_id: str, member: int) -> int:
    """The seed of one generation, a function of (seed, slice, member)."""
    sequence = np.random.SeedSequence([seed, zlib.crc32(slice_id.encode()), member])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


class GuidedSampler:
    """Generates scans with other tumour sizes.

    Args:
        denoiser: predicts the noise. guide: predicts the tumour fraction. Both on `device`.
        schedule: noise schedule of both.
        spec: settings.
        pixel_mm, gain: see `effective_scale`.
        device: of the models.

    Attributes:
        evaluations: number of images evaluated so far, see `Evaluator`.
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
        if spec.guidance == "labels":
            raise ValueError(
                "sampler.guidance=labels: this sampler needs guidance=paper. Use "
                "evaluation.label_sampler, or sampler=fast."
            )
        if spec.nl > schedule.levels:
            raise ValueError(
                f"sampler.nl={spec.nl}: the schedule of the models has only {schedule.levels} "
                "levels. Lower sampler.nl."
            )
        self.denoiser, self.guide, self.schedule, self.spec = denoiser, guide, schedule, spec
        self.pixel_mm, self.gain, self.device = pixel_mm, gain, torch.device(device)
        self.effective_scale = effective_scale(spec.scale_value, pixel_mm=pixel_mm, gain=gain)
        self.models = Evaluator(
            denoiser, guide, schedule, device=self.device, bf16=spec.precision == "bf16"
        )

    @cached_property
    def levels(self) -> list[int]:
        """Levels visited, ascending from 0 to nl."""
        return visited_levels(self.spec.nl, self.spec.steps)

    @property
    def evaluations(self) -> Counter[str]:
        """Number of images evaluated so far, by kind: see `Evaluator`."""
        return self.models.evaluations

    @torch.inference_mode()
    def encode(self, x0: Tensor, *, seeds: Sequence[int] = ()) -> Encoding:
        """The reference image at all visited levels: one for all members (`invert`), or one for
        each member (`noise`).

        Args:
            x0: (C, H, W) in [-1, 1]. seeds: one a member; unused by `invert`.
        """
        clean = x0.to(self.device)[None]
        clean = clean.to(torch.promote_types(clean.dtype, torch.float32))
        spec = self.spec
        if spec.encode == "invert":
            return invert(clean, self.levels, self.models, solver=spec.solver,
                          iterations=spec.invert_iterations)
        return noise(clean, self.levels, self.models, solver=spec.solver, seeds=seeds)

    @torch.inference_mode()
    def denoise(self, encoding: Encoding, target: BatchTarget | None, *, brain: Tensor) -> Tensor:
        """From level nl to the image, (B, C, H, W), guided towards a target; None: unguided."""
        spec, levels = self.spec, self.levels
        x = encoding.x[-1]
        guidance = None
        if target is not None:
            x = x.expand(len(target.fraction), *x.shape[1:])
            guidance = PaperGuidance(self.models, spec, target, encoding, self.effective_scale)
        solver = Solver(spec.solver, self.models)
        for k in range(len(levels) - 1, 0, -1):
            l, l_to = levels[k], levels[k - 1]
            epsilon = self.models.epsilon(x, l)
            if guidance is not None:
                epsilon = guidance(k, x, epsilon)
            if spec.clip_x0:
                epsilon = clipped_epsilon(x, epsilon, alpha_bar=self.models.alpha_bar(l))
            x = solver.step(x, epsilon, l, l_to)
            if spec.anchor:
                x = x + encoding.defect(k, clip=spec.clip_x0)
        return torch.where(brain > 0, x, -1.0) if spec.keep_background else x

    def reconstruct(
        self, x0: Tensor, *, brain: Tensor, seed: int = 0, slice_id: str = ""
    ) -> Tensor:
        """Encode and denoise without guidance, (C, H, W)."""
        encoding = self.encode(x0, seeds=[member_seed(seed, slice_id, 0)])
        return self.denoise(encoding, None, brain=self._as_mask(brain))[0].cpu().clone()

    def _as_mask(self, mask: Tensor | np.ndarray) -> Tensor:
        return torch.as_tensor(mask, device=self.device).float()[None, None]

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
        """One generation for every target, in their order, independent of the batch size.

        Args:
            x0: reference image, (C, H, W) in [-1, 1], background -1.
            targets: target sizes.
            brain: brain mask, (H, W), bool or 0/1.
            seed, slice_id, first_member: determine the random numbers of the `noise` encoding.
        """
        if not targets:
            return []
        mask = self._as_mask(brain)
        seeds = [member_seed(seed, slice_id, first_member + m) for m in range(len(targets))]
        shared = self.encode(x0) if self.spec.encode == "invert" else None
        with torch.inference_mode():
            before = float(self.models.fraction(x0.to(self.device)[None].float(), 0, mask))
        out: list[Generation] = []
        size = self._batch_size(len(targets))
        for start in range(0, len(targets), size):
            chunk, names = list(targets[start : start + size]), seeds[start : start + size]
            n = len(chunk)
            chunk += chunk[-1:] * (size - n)  # padded, so that all batches have one size
            names += names[-1:] * (size - n)
            encoding = shared if shared is not None else self.encode(x0, seeds=names)
            wanted = torch.tensor([t.tumour_fraction for t in chunk], device=self.device,
                                  dtype=encoding.x[0].dtype)
            target = BatchTarget(wanted, mask)
            images = self.denoise(encoding, target, brain=mask)
            with torch.inference_mode():
                after = self.models.fraction(images.float(), 0, mask).tolist()[:n]
            # Cloned outside inference mode, so that autograd can use the images.
            made = zip(chunk[:n], names[:n], images[:n].cpu(), after, strict=True)
            for asked, s, image, fraction in made:
                out.append(Generation(
                    image.clone(), asked, before, fraction, self.spec.nl,
                    self.spec.scale_value, self.effective_scale, s,
                ))  # fmt: skip
        return out

    def _batch_size(self, members: int) -> int:
        """Size of the batches, equal for all batches.

        CPU kernels round differently for other batch sizes, and are not faster with more than four
        images. On a CPU the size therefore depends only on the number of members, so that results
        do not depend on `batch_size`.
        """
        most = CPU_BATCH if self.device.type == "cpu" else self.spec.batch_size
        return math.ceil(members / max(math.ceil(members / most), 1))

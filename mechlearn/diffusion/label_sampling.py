"""Generate a slice with a label map: encode a first guess to a noise level, denoise with labels.

Only the changed region is generated. Outside it every level has the encoded scan (with the same
noise), so that the generated region is consistent with it; the result outside is the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mechlearn.checks import in_range, one_of
from mechlearn.diffusion.levels import visited_levels
from mechlearn.diffusion.sampler_spec import SOLVERS
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.diffusion.steps import (
    ORDERS,
    add_noise,
    ddim_step,
    predict_epsilon,
    predict_x0,
    second_order,
)

__all__ = ["LabelSamplingSpec", "Window", "draw_under_labels", "window_of"]

LabelledEpsilon = Callable[[Tensor, Tensor, Tensor | None], Tensor]
FACTOR = 16  # sides of a window are multiples of it, because the network downsamples


@dataclass
class LabelSamplingSpec:
    """Settings of sampling with labels.

    Attributes:
        level: noise level of the encoded first guess; a higher level changes it more.
        steps: number of visited levels.
        solver: `ddim`, or `dpmpp_2m` of second order.
        label_weight: weight w of classifier-free guidance (Ho & Salimans 2022): the difference to
            the prediction without labels is multiplied by w; 1 is the denoiser as trained.
        keep_low: weight with which the low frequencies of the first guess are kept at each step
            (ILVR, Choi et al. 2021): the model generates texture and edges, and the brightness
            comes from the patient's tumour.
        low_px: standard deviation of the Gaussian that defines low frequencies.
        seam_px: width of the transition between the generated region and the scan.
        margin_px: margin of the denoised window around the changed region.
        precision: of the denoiser, float32 or bf16.
        mass_effect: share of new core that displaces tissue before the region is generated.
        batch_size: number of windows denoised at once.
    """

    level: int = 200
    steps: int = 10
    solver: str = "ddim"
    label_weight: float = 1.0
    keep_low: float = 1.0
    low_px: float = 0.7
    seam_px: float = 1.0
    margin_px: int = 16
    precision: str = "float32"
    mass_effect: float = 0.0
    batch_size: int = 4

    def __post_init__(self) -> None:
        in_range("sampler.labels.level", self.level, 1, 1000)
        in_range("sampler.labels.steps", self.steps, 1, self.level)
        one_of("sampler.labels.solver", self.solver, SOLVERS)
        one_of("sampler.labels.precision", self.precision, ("float32", "bf16"))
        in_range("sampler.labels.label_weight", self.label_weight, 0.0, 20.0)
        in_range("sampler.labels.keep_low", self.keep_low, 0.0, 1.0)
        in_range("sampler.labels.low_px", self.low_px, 0.1, 100.0)
        in_range("sampler.labels.seam_px", self.seam_px, 0.0, 20.0)
        in_range("sampler.labels.mass_effect", self.mass_effect, 0.0, 2.0)
        in_range("sampler.labels.margin_px", self.margin_px, 0, 512)
        in_range("sampler.labels.batch_size", self.batch_size, 1, 4096)


@dataclass(frozen=True)
class Window:
    """The denoised square: first row, first column and side."""

    top: int
    left: int
    side: int

    def of(self, x: Tensor) -> Tensor:
        """Crop (..., H, W) to the window."""
        return x[..., self.top : self.top + self.side, self.left : self.left + self.side]


def window_of(region: Tensor, *, margin_px: int, least_px: int = 80) -> Window:
    """The square around a region, (H, W) bool, with a margin; its side is a multiple of 16.

    Raises:
        ValueError: an empty region.
    """
    if not bool(region.any()):
        raise ValueError("region: no pixel changes, so there is nothing to generate.")
    height, width = region.shape
    rows, columns = (torch.nonzero(region.any(d)).flatten() for d in (1, 0))
    spans = [int(v[-1] - v[0]) + 1 for v in (rows, columns)]
    side = max(max(spans) + 2 * margin_px, least_px)
    side = min(-(-side // FACTOR) * FACTOR, min(height, width) // FACTOR * FACTOR)
    top, left = (
        max(0, min(int(v[0] + v[-1] + 1) // 2 - side // 2, size - side))
        for v, size in ((rows, height), (columns, width))
    )
    return Window(top, left, side)


@torch.inference_mode()
def draw_under_labels(
    epsilon: LabelledEpsilon,
    scan: Tensor,
    guess: Tensor,
    labels: Tensor,
    region: Tensor,
    brain: Tensor,
    *,
    schedule: NoiseSchedule,
    spec: LabelSamplingSpec,
    seeds: Sequence[int],
) -> Tensor:
    """The scan with a generated region, (B, C, H, W) float32.

    All B windows have one size. Each image depends only on its inputs and its seed.

    Args:
        epsilon: network of (x_l, l, label map or None); its first C channels are the noise.
        scan, guess: (B, C, H, W) in [-1, 1]; the guess differs from the scan in the region.
        labels: target label maps, (B, K, H, W).
        region, brain: (B, H, W) bool; pixels outside the region do not change.
        schedule: of the denoiser.
        spec: settings.
        seeds: B, one for the noise of each image.
    """
    shape = scan.shape[1:]
    noise = torch.stack([
        torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds
    ])
    soft = _soft(region, spec.seam_px) * brain[:, None]
    inside = (soft > 0).float()
    levels = visited_levels(spec.level, spec.steps)
    x = add_noise(guess, noise, alpha_bar=schedule.alpha_bar(levels[-1]))
    before: tuple[Tensor, Tensor] | None = None
    for k in range(len(levels) - 1, 0, -1):
        here, to = (schedule.alpha_bar(levels[i]) for i in (k, k - 1))
        predicted = _predicted(epsilon, x, levels[k], labels, spec)
        x0 = predict_x0(x, predicted, alpha_bar=here)
        if spec.keep_low > 0:
            x0 = x0 + spec.keep_low * _smooth(torch.where(inside > 0, guess - x0, 0.0), spec.low_px)
            predicted = predict_epsilon(x, x0, alpha_bar=here)
        out = ddim_step(x, predicted, alpha_bar=here, alpha_bar_to=to)
        if ORDERS[spec.solver] == 2 and before is not None:
            out = out + second_order(
                x0, before[0], alpha_bar_before=before[1], alpha_bar=here, alpha_bar_to=to
            )
        before = (x0, here)
        x = torch.where(inside > 0, out, add_noise(scan, noise, alpha_bar=to))
    drawn = soft * x.clamp(-1, 1) + (1 - soft) * scan
    return torch.where(inside > 0, drawn, scan)


def _predicted(
    epsilon: LabelledEpsilon, x: Tensor, level: int, labels: Tensor, spec: LabelSamplingSpec
) -> Tensor:
    l = torch.full((x.shape[0],), level, device=x.device)
    inner = x.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=spec.precision == "bf16"):
        labelled = epsilon(inner, l, labels)[:, : x.shape[1]].float()
        if spec.label_weight == 1.0:
            return labelled
        unlabelled = epsilon(inner, l, None)[:, : x.shape[1]].float()
    return unlabelled + spec.label_weight * (labelled - unlabelled)


def _smooth(x: Tensor, width_px: float) -> Tensor:
    """Gaussian mean, (B, C, H, W), with zeros outside the borders."""
    reach = max(1, round(3 * width_px))
    at = torch.arange(-reach, reach + 1, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (at / width_px) ** 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    rows = F.conv2d(x, kernel[..., None], padding=(reach, 0), groups=x.shape[1])
    return F.conv2d(rows, kernel[:, :, None], padding=(0, reach), groups=x.shape[1])


def _soft(region: Tensor, width_px: float) -> Tensor:
    """Weight of the generated image, (B, 1, H, W): 1 in the region, decreasing to 0 around it."""
    hard = region.float()[:, None]
    if width_px <= 0:
        return hard
    blurred = _smooth(hard, width_px)
    return torch.maximum(hard, (2 * blurred).clamp(0, 1) * (blurred > 0.05))

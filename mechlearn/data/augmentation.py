"""Random changes of training slices, so that a few patients teach what many scanners show.

All are drawn from (seed, draw) alone, as everything about a training image is, and applied to a
whole batch at once on the device where it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mechlearn.data.augmentation_spec import AugmentationSpec
from mechlearn.spatial.intensity import BACKGROUND

__all__ = ["augmented"]

STREAM = 4  # of a draw; `diffusion.training_noise` has 1 and 2, `models.adversarial` 3
KNOTS = 6  # of an intensity curve
COARSE = 5  # knots of a smooth field along each side


def augmented(batch: dict[str, Any], spec: AugmentationSpec, *, seed: int) -> dict[str, Any]:
    """A batch of `data.datasets.as_floats` with random changes; tumour fractions are those after.

    Args:
        batch: image (B, C, H, W) in [-1, 1], tumour and brain (B, 1, H, W), labels (B, H, W),
            present (B, C), draw: B numbers.
    """
    if not spec.is_on:
        return batch
    streams = [np.random.default_rng([seed, STREAM, d]) for d in batch["draw"]]
    image, labels, brain = _moved(batch, spec, streams)
    image = _recoloured((image + 1) / 2, spec, streams)
    image = (2 * image.clamp(0, 1) - 1).float()
    shown = (brain > 0) & (batch["present"][:, :, None, None] > 0)
    tumour = ((labels > 0) & (labels != 4)).float()[:, None]
    areas = [a.flatten(1).sum(1) for a in (tumour, brain)]
    return {
        **batch,
        "image": torch.where(shown, image, BACKGROUND),
        "tumour": tumour,
        "labels": labels,
        "brain": brain,
        "fraction": areas[0] / areas[1].clamp_min(1),
    }


def _moved(
    batch: dict[str, Any], spec: AugmentationSpec, streams: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor, Tensor]:
    """Image (B, C, h, w), labels (B, h, w) and brain (B, 1, h, w), cut out and deformed."""
    image, brain, labels = batch["image"], batch["brain"], batch["labels"]
    height, width = image.shape[-2:]
    side = spec.crop_px or max(height, width)
    at = np.stack([
        _positions(spec, rng, mask, side)
        for rng, mask in zip(streams, _of_interest(batch), strict=True)
    ])  # fmt: skip
    scale = np.array([2 / width, 2 / height])
    grid = torch.from_numpy(((at + 0.5) * scale - 1).astype(np.float32)).to(image.device)
    moved = F.grid_sample(image + 1, grid, mode="bicubic", align_corners=False) - 1
    masks = torch.cat([labels.float()[:, None], brain], 1)
    masks = F.grid_sample(masks, grid, mode="nearest", align_corners=False)
    return moved, masks[:, 0].round().to(labels.dtype), masks[:, 1:].round()


def _of_interest(batch: dict[str, Any]) -> np.ndarray:
    """Tumour, or brain in slices without one: (B, H, W) bool."""
    tumour, brain = (batch[k][:, 0].cpu().numpy() > 0 for k in ("tumour", "brain"))
    return np.where(tumour.any((1, 2))[:, None, None], tumour, brain)


def _positions(
    spec: AugmentationSpec, rng: np.random.Generator, mask: np.ndarray, side: int
) -> np.ndarray:
    """Where each pixel of the new slice is read, (side, side, 2) as x, y in pixels."""
    height, width = mask.shape
    centre = np.array([height // 2, width // 2])
    pixels = np.argwhere(mask)
    chosen = pixels[int(rng.random() * len(pixels))] if len(pixels) else centre
    if spec.crop_px is not None:
        shift = (rng.random(2) - 0.5) * side / 2
        half = side // 2
        low = np.minimum(half, centre)
        centre = np.clip(np.rint(chosen + shift), low, np.array([height, width]) - low).astype(int)
    offsets = np.stack(np.meshgrid(*(np.arange(side) - side // 2,) * 2, indexing="ij"), -1)
    wanted, angle, stretch, shear = rng.random(4)
    field = rng.standard_normal((COARSE, COARSE, 2))
    if wanted >= spec.spatial:
        return (centre + offsets)[..., ::-1]
    turn = np.deg2rad((2 * angle - 1) * spec.rotation_deg)
    sizes = np.exp(np.log1p(spec.scaling) * np.array([2 * stretch - 1, 2 * rng.random() - 1]))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = turned @ np.array([[1.0, 0.2 * (shear - 0.5)], [0.0, 1.0]]) @ np.diag(sizes)
    smooth = _smooth(torch.from_numpy(field).permute(2, 0, 1)[None], side)[0]
    bent = spec.deformation_px * smooth.permute(1, 2, 0).numpy()
    return (centre + offsets @ matrix.T + bent)[..., ::-1]


def _smooth(coarse: Tensor, side: int) -> Tensor:
    """(B, C, k, k) -> (B, C, side, side), smooth between the knots."""
    return F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)


def _recoloured(
    u: Tensor, spec: AugmentationSpec, streams: Sequence[np.random.Generator]
) -> Tensor:
    """Intensities in [0, 1], (B, C, h, w), as other scanners would give them."""
    count, channels, side = u.shape[0], u.shape[1], u.shape[-1]
    steep = np.stack([r.standard_normal((channels, KNOTS)) for r in streams])
    slopes = np.exp(spec.curve_sd * steep)
    gains, chosen, blurred, factors = (
        np.stack([r.random(channels) for r in streams]) for _ in range(4)
    )
    fields = np.stack([r.standard_normal((channels, COARSE - 1, COARSE - 1)) for r in streams])
    noisy, biased = (np.array([r.random() for r in streams]) for _ in range(2))
    slopes[chosen >= spec.curves] = 1.0
    gains = np.where(chosen < spec.curves, 1 + spec.gain * (2 * gains - 1), 1.0)
    u = _by_curve(u, torch.from_numpy(slopes).to(u))
    u = u * torch.from_numpy(gains).to(u)[..., None, None]
    fields[biased >= spec.bias] = 0.0
    if spec.bias > 0:
        u = u * torch.exp(spec.bias_sd * _smooth(torch.from_numpy(fields).to(u), side))
    for b, c in np.argwhere(blurred < spec.blur):
        coarse = max(4, round(side / (1 + (spec.blur_factor - 1) * factors[b, c])))
        small = F.interpolate(u[b : b + 1, c : c + 1], size=(coarse, coarse), mode="area")
        u[b, c] = F.interpolate(small, size=(side, side), mode="bicubic")[0, 0]
    for b in range(count):
        if noisy[b] < spec.noise:
            sd = spec.noise_sd * noisy[b] / spec.noise
            u[b] += sd * torch.from_numpy(
                streams[b].standard_normal(u.shape[1:], np.float32)
            ).to(u)  # fmt: skip
    return u


def _by_curve(u: Tensor, slopes: Tensor) -> Tensor:
    """u (B, C, h, w) through increasing curves from (0, 0) to (1, 1), of slopes (B, C, K)."""
    rises = slopes / slopes.sum(-1, keepdim=True)
    heights = F.pad(rises.cumsum(-1), (1, 0))
    at = u.clamp(0, 1) * slopes.shape[-1]
    knot = at.floor().clamp_max(slopes.shape[-1] - 1)
    index = knot.long().flatten(2)
    low = heights.gather(2, index).view_as(u)
    rise = rises.gather(2, index).view_as(u)
    return low + (at - knot) * rise

"""Structural similarity inside and outside the tumour's region (section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from mechlearn.checks import same_shape

__all__ = ["RegionSSIM", "region_ssim", "ssim_map"]

_DATA_RANGE = 2.0  # images lie in [-1, 1]


@dataclass(frozen=True)
class RegionSSIM:
    """Mean SSIM of each region, over contrasts and per contrast; None for an empty region."""

    inside: float | None
    outside: float | None
    inside_per_contrast: tuple[float, ...] | None
    outside_per_contrast: tuple[float, ...] | None


def _tensor(image: np.ndarray | torch.Tensor) -> torch.Tensor:
    tensor = image.detach().cpu() if isinstance(image, torch.Tensor) else torch.tensor(image)
    if tensor.ndim != 3:
        raise ValueError(
            f"image has shape {tuple(tensor.shape)}; must be (contrasts, rows, columns)."
        )
    return tensor.to(torch.float64)[None]


def ssim_map(
    image: np.ndarray | torch.Tensor, reference: np.ndarray | torch.Tensor
) -> np.ndarray:
    """SSIM at every pixel, (C, H, W): Gaussian window of 1.5 pixels, 11 x 11 (Wang et al. 2004).

    Args:
        image, reference: (C, H, W) in [-1, 1].
    """
    a, b = _tensor(image), _tensor(reference)
    same_shape("image", a.numpy(), "reference", b.numpy())
    _, full = structural_similarity_index_measure(
        a, b, gaussian_kernel=True, sigma=1.5, data_range=_DATA_RANGE, return_full_image=True
    )
    return np.asarray(full[0].numpy())


def region_ssim(
    image: np.ndarray | torch.Tensor,
    reference: np.ndarray | torch.Tensor,
    *,
    tumour: np.ndarray,
    brain: np.ndarray,
) -> RegionSSIM:
    """The SSIM map averaged in the tumour's region and in the rest of the brain.

    Args:
        image: generated image, (C, H, W) in [-1, 1].
        reference: the image it started from, same shape.
        tumour: (H, W) bool, the region inside: the expert mask dilated to twice its area
            (`spatial.regions.tumour_region`).
        brain: (H, W) bool.
    """
    tumour, brain = np.asarray(tumour, bool), np.asarray(brain, bool)
    same_shape("tumour", tumour, "brain", brain)
    similarity = ssim_map(image, reference)
    same_shape("image slice", similarity[0], "brain", brain)
    inside, outside = (
        tuple(float(v) for v in similarity[:, region].mean(axis=1)) if region.any() else None
        for region in (tumour & brain, brain & ~tumour)
    )
    return RegionSSIM(
        inside=None if inside is None else float(np.mean(inside)),
        outside=None if outside is None else float(np.mean(outside)),
        inside_per_contrast=inside,
        outside_per_contrast=outside,
    )

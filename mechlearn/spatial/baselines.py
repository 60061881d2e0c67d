"""Spatial baselines in 2D: masks of a known size from the first mask, without images.

Each takes the first mask and the area of the second one.
"""

from __future__ import annotations

import math

import numpy as np

from mechlearn.checks import finite, positive, same_shape
from mechlearn.spatial.masked_mean import masked_mean
from mechlearn.spatial.regions import dilate_to_area

__all__ = ["dilation", "heat_kernel", "no_change"]


def no_change(mask: np.ndarray) -> np.ndarray:
    """Persistence: a copy of the first mask, (H, W) bool."""
    return np.array(mask, bool)


def dilation(
    mask: np.ndarray,
    brain: np.ndarray,
    area_px: float,
    *,
    spacing_mm: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Isotropic growth inside the brain to exactly `area_px` pixels: `regions.dilate_to_area`."""
    return dilate_to_area(mask, brain, area_px, spacing_mm=spacing_mm)


def heat_kernel(
    mask: np.ndarray, brain: np.ndarray, area_px: float, *, sigma_px: float | None = None
) -> np.ndarray:
    """Diffusion of the mask inside the brain as a probability map, (H, W) float in [0, 1].

    The mask is blurred by a Gaussian that is normalised in the brain (blur of the mask over blur of
    the brain). Then one constant is added to all log-odds so that p >= 0.5 covers `area_px` pixels
    (more only in case of ties).

    Args:
        mask, brain: (H, W) bool.
        area_px: area of the p >= 0.5 region in pixels, at least 1; at most the brain's.
        sigma_px: width of the kernel; by default the growth of the radius of a disc from the
            mask's area to `area_px`, at least one pixel.

    Raises:
        ValueError: a mask without a pixel in the brain, or an area below one pixel.
    """
    mask, brain = np.asarray(mask, bool), np.asarray(brain, bool)
    same_shape("mask", mask, "brain", brain)
    if finite("area_px", area_px) < 1:
        raise ValueError(f"area_px={area_px:g}: a level set needs at least one pixel.")
    inside = mask & brain
    if not inside.any():
        raise ValueError("mask has no pixel in the brain, so it cannot grow. Drop the slice.")
    wanted = min(round(area_px), int(brain.sum()))
    if sigma_px is None:
        sigma = max(1.0, abs(math.sqrt(wanted / math.pi) - math.sqrt(inside.sum() / math.pi)))
    else:
        sigma = positive("sigma_px", sigma_px)
    heat = _blur_inside(inside, brain, sigma)
    while np.sort(heat[brain])[-wanted] <= 0:  # the kernel does not reach the wanted area: widen it
        sigma *= 1.5
        heat = _blur_inside(inside, brain, sigma)
    level = np.sort(heat[brain])[-wanted]
    # odds(p) = odds(heat) / odds(level), written without a division by 1 - heat
    up, down = heat * (1 - level), level * (1 - heat)
    total = np.where(up + down > 0, up + down, 1.0)
    probability = np.where(heat >= level, np.maximum(up / total, 0.5), up / total)
    return np.where(brain, probability, 0.0)


def _blur_inside(mask: np.ndarray, brain: np.ndarray, sigma: float) -> np.ndarray:
    heat = masked_mean(mask.astype(float), brain, sigma, mode="constant")
    return np.where(brain, np.clip(heat, 0.0, 1.0), 0.0)

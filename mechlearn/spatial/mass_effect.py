"""Mass effect in a slice: a growing core displaces the surrounding tissue.

    div d = share (core after - core before),   curl d = 0,   d = 0 at the brain's edge

with core and enhancing tumour smoothed by a Gaussian. The displacement is the 2D version of that of
the phantom cohort (`phantom.tumour`).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mechlearn.checks import same_shape

__all__ = ["displacement_px", "pushed"]

CORE = (1, 3)  # canonical labels that displace tissue: core, enhancing
SOURCE_MM, HOLD_MM = 3.6, 9.6  # standard deviations of the Gaussians, as for phantoms
HOLD_SLOPE = 2.4  # slope of the weight of the displacement near the brain's edge, as for phantoms


def displacement_px(source: np.ndarray, brain: np.ndarray, *, pixel_mm: float) -> np.ndarray:
    """Curl-free displacement in pixels, (2, H, W), with the divergence `source`, (H, W)."""
    shape = tuple(2 * n for n in source.shape)  # padded against periodic wrap-around
    k = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n) for n in shape), indexing="ij")
    square = k[0] ** 2 + k[1] ** 2
    potential = -np.fft.fft2(source, shape) / np.where(square > 0, square, np.inf)
    rows, columns = source.shape
    free = ndimage.gaussian_filter(brain.astype(float), HOLD_MM / pixel_mm)
    pushes = np.stack([np.fft.ifft2(1j * axis * potential).real[:rows, :columns] for axis in k])
    return np.asarray(pushes * ((free - 0.5) * HOLD_SLOPE).clip(0, 1))


def pushed(
    image: np.ndarray, labels: np.ndarray, after: np.ndarray, brain: np.ndarray, *,
    share: float, pixel_mm: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels after the displacement by the growing core.

    Args:
        image: (C, H, W). labels, after: canonical labels at present and of the target, (H, W).
        brain: (H, W) bool; pixels outside do not change.
        share: divergence over new core; 0 for no displacement.
        pixel_mm: size of a pixel.
    """
    same_shape("labels", labels, "after", after)
    gained = np.isin(after, CORE).astype(float) - np.isin(labels, CORE)
    source = share * ndimage.gaussian_filter(gained, SOURCE_MM / pixel_mm)
    at = np.indices(brain.shape) - displacement_px(source, brain, pixel_mm=pixel_mm)
    moved = np.stack([ndimage.map_coordinates(v, at, order=3, mode="nearest") for v in image])
    carried = ndimage.map_coordinates(labels, at, order=0, mode="nearest")
    low, high = image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True)
    return np.where(brain, moved.clip(low, high), image), np.where(brain, carried, labels)

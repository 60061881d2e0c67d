"""Approximate image of a slice without its tumour."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mechlearn.checks import same_shape
from mechlearn.spatial.travel import blurred_inside

__all__ = ["without_tumour"]

_ENOUGH = 0.05  # least share of a Gaussian's weight on known tissue


def without_tumour(
    image: np.ndarray, tumour: np.ndarray, brain: np.ndarray, *, margin_px: int = 1
) -> np.ndarray:
    """The surrounding tissue continued smoothly into the tumour, without gyri or ventricles.

    Each pixel gets the Gaussian mean of the brain outside the tumour, with the smallest standard
    deviation (1, 2, 4... pixels) that reaches enough tissue.

    Args:
        image: (C, H, W). tumour, brain: (H, W) bool.
        margin_px: dilation of the tumour, because pixels at its edge are partly tumour.

    Returns:
        (C, H, W) float32; equal to `image` outside the tumour and its margin, and where no
        Gaussian reaches enough tissue.

    Raises:
        ValueError: shapes differ.
    """
    tumour, brain = np.asarray(tumour, bool), np.asarray(brain, bool)
    same_shape("tumour", tumour, "brain", brain)
    same_shape("image slice", image[0], "brain", brain)
    filled = np.array(image, np.float32)
    wide = ndimage.binary_dilation(tumour, iterations=margin_px) if margin_px else tumour
    left, known = brain & wide, brain & ~wide
    sigma = 1.0
    while left.any() and sigma <= max(brain.shape):
        reached = left & (ndimage.gaussian_filter(known.astype(np.float32), sigma) > _ENOUGH)
        for channel, values in enumerate(image):
            filled[channel, reached] = blurred_inside(values, known, sigma, (1, 1))[reached]
        left &= ~reached
        sigma *= 2
    return filled

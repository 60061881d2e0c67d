"""Gaussian mean over a region only, without values from outside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

__all__ = ["masked_mean"]


def masked_mean(
    values: np.ndarray,
    region: np.ndarray,
    sigma_px: float | Sequence[float],
    *,
    least_weight: float = 0.0,
    mode: str = "reflect",
) -> np.ndarray:
    """G * (values region) / G * region, with a Gaussian G; 0 where its weight on the region is 0.

    Args:
        values: any shape, float32 or float64; the result has its type.
        region: bool of the same shape.
        sigma_px: standard deviation of the Gaussian, one number or one an axis.
        least_weight: lower limit of the denominator: the mean tends to 0 far from the region.
        mode: extension of the array beyond its border, as in `scipy.ndimage.gaussian_filter`.

    Example:
        >>> import numpy as np
        >>> region = np.array([True, True, False])
        >>> masked_mean(np.array([2.0, 2.0, 99.0]), region, 1.0).round(6).tolist()
        [2.0, 2.0, 2.0]
    """
    kind = values.dtype
    summed = ndimage.gaussian_filter(np.where(region, values, 0).astype(kind), sigma_px, mode=mode)
    weight = ndimage.gaussian_filter(region.astype(kind), sigma_px, mode=mode)
    weight = np.maximum(weight, least_weight).astype(kind)
    return np.divide(summed, weight, out=np.zeros_like(summed), where=weight > 0)

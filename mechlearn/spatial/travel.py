"""Travel time of a tumour's front through tissue, with speeds estimated from the image.

    |grad T| = 1 / v(x),    T = 0 in the tumour

The front of a Fisher-KPP wave has the speed v = 2 sqrt(D rho); D is about ten times larger in white
than in grey matter, and 0 in CSF. Times are in mm of white matter (v = 1). In 2D and 3D.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.graph import MCP_Geometric

from mechlearn.checks import same_shape
from mechlearn.spatial.masked_mean import masked_mean

__all__ = ["LIMIT_MM", "blurred_inside", "standardised", "tissue_shares", "tissue_speed",
           "travel_mm"]

LIMIT_MM = 80.0


def tissue_speed(
    image: np.ndarray,
    brain: np.ndarray,
    tumour: np.ndarray,
    *,
    contrasts: Sequence[str],
    spacing_mm: Sequence[float],
    grey: float = 0.3,
    csf: float = 0.03,
    blur_mm: float = 1.5,
) -> np.ndarray:
    """Relative speed of a front in each pixel of a brain: 1 in white matter and in the tumour.

    White matter is brighter on T1 than the median of the brain away from the tumour. CSF is dark on
    T1, or bright on T2 and not on FLAIR. Criteria whose contrasts are missing are not used.

    Args:
        image: (C, ...) in [-1, 1].
        brain, tumour: (...) bool.
        contrasts: names of the C channels.
        spacing_mm: along each axis.
        grey, csf: speeds relative to white matter.
        blur_mm: standard deviation of the Gaussian that reduces noise.

    Returns:
        (...) float32, 0 outside the brain.
    """
    white, fluid = tissue_shares(
        image, brain, tumour, contrasts=contrasts, spacing_mm=spacing_mm, blur_mm=blur_mm
    )
    speed = (grey + (1 - grey) * white) * (1 - fluid) + csf * fluid
    return np.asarray(np.where(brain, np.where(tumour, 1.0, speed), 0.0), np.float32)


def tissue_shares(
    image: np.ndarray,
    brain: np.ndarray,
    tumour: np.ndarray,
    *,
    contrasts: Sequence[str],
    spacing_mm: Sequence[float],
    blur_mm: float = 1.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Soft segmentation of white matter and of CSF, two arrays (...) from 0 to 1.

    Arguments as for `tissue_speed`. All 0 where the needed contrasts are missing.
    """
    seen = {
        name: blurred_inside(
            standardised(image[i], brain, tumour, spacing_mm), brain, blur_mm, spacing_mm
        )
        for i, name in enumerate(contrasts)
        if name != "t1c"
    }
    white, fluid = np.zeros(brain.shape, np.float32), np.zeros(brain.shape, np.float32)
    if "t1n" in seen:
        white = _sigmoid(seen["t1n"] / 0.15)
        fluid = _sigmoid(-(seen["t1n"] + 1.0) / 0.15)
    if {"t2w", "t2f"} <= set(seen):
        fluid = np.maximum(fluid, _sigmoid((seen["t2w"] - 1.5) / 0.3) * (seen["t2f"] < 1.0))
    return white, fluid


def travel_mm(
    speed: np.ndarray,
    tumour: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    limit_mm: float = LIMIT_MM,
) -> np.ndarray:
    """Shortest travel time from the tumour to every pixel, (...) float32; 0 in the tumour.

    Dijkstra's algorithm on the grid with all neighbours (8 in 2D, 26 in 3D): times are up to 8% too
    long in directions between the neighbours.

    Args:
        speed: (...), 0 where no front passes.
        tumour: (...) bool.
        spacing_mm: along each axis.
        limit_mm: upper limit, also the time of pixels that are never reached.
    """
    same_shape("speed", speed, "tumour", tumour)
    cost = np.where(speed > 0, 1 / np.maximum(speed, 1e-6), np.inf)
    rim = np.argwhere(tumour & (speed > 0) & ndimage.binary_dilation(~tumour))
    if not len(rim):
        return np.full(speed.shape, limit_mm, np.float32)
    graph = MCP_Geometric(cost, sampling=tuple(spacing_mm), fully_connected=True)
    times, _ = graph.find_costs(rim)
    return np.asarray(np.where(tumour, 0.0, np.minimum(times, limit_mm)), np.float32)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -60, 60))), np.float32)


def standardised(
    image: np.ndarray, brain: np.ndarray, tumour: np.ndarray, spacing_mm: Sequence[float]
) -> np.ndarray:
    """One contrast (...), standardised by the brain further than 6 mm from the tumour.

    The median of this region becomes 0, and the difference of its 20th and 80th percentile 1; the
    result is clipped to -4 and 6. With fewer than 200 pixels the region is the whole brain.
    """
    healthy = brain
    if tumour.any():
        far = ndimage.distance_transform_edt(~tumour, sampling=tuple(spacing_mm)) > 6
        healthy = brain & far if (brain & far).sum() >= 200 else brain
    if not healthy.any():
        return np.zeros(image.shape, np.float32)
    low, middle, high = np.percentile(image[healthy].astype(np.float32), [20, 50, 80])
    return np.clip((image - middle) / max(high - low, 0.1), -4, 6).astype(np.float32)


def blurred_inside(
    image: np.ndarray, region: np.ndarray, sigma_mm: float, spacing_mm: Sequence[float]
) -> np.ndarray:
    """Gaussian mean over a region only, (...) float32; 0 far from it."""
    sigma = [sigma_mm / step for step in spacing_mm]
    return masked_mean(np.asarray(image, np.float32), region, sigma, least_weight=1e-3)

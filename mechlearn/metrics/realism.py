"""Realism of a generated region, compared with the patient's tumour and the tissue before.

Intensities of every contrast are divided by the brain's range (1st to 99th percentile), so that
values are comparable between scanners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from mechlearn.checks import same_shape

__all__ = ["Realism", "brain_range", "drawn_realism", "intensity_distance"]

DARKER = 0.1  # of the brain's range: least decrease of a darkened pixel
CHANGED = 0.05  # of the brain's range: least change of a changed pixel
BESIDE_PX = 4  # pixels within this distance of the tumour are not outside it
_FEW = 20  # least number of pixels of a distribution


@dataclass(frozen=True)
class Realism:
    """Scores of the new tumour region, per contrast (C,); None where there are too few pixels.

    distance: Wasserstein-1 distance to the patient's pixels of the same labels, over the brain's
        range.
    untouched: the same distance of the tissue before, the score of an unchanged image.
    darkened: share of pixels darker than before by more than a tenth of the brain's range.
    outside_changed: share of the brain's pixels, away from both outlines, that changed by more than
        a twentieth of the brain's range in any contrast.
    """

    distance: tuple[float, ...] | None
    untouched: tuple[float, ...] | None
    darkened: tuple[float, ...] | None
    outside_changed: float | None = None


def brain_range(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Difference of the 99th and 1st percentile of the brain's pixels by contrast, (C,), at least
    0.001."""
    low, high = np.percentile(image[:, brain], (1, 99), axis=1)
    return np.maximum(high - low, 1e-3)


def intensity_distance(a: np.ndarray, b: np.ndarray, ranges: np.ndarray) -> tuple[float, ...]:
    """Wasserstein-1 distance between pixels (C, N) and (C, M) by contrast, over `ranges` (C,)."""
    return tuple(
        float(stats.wasserstein_distance(x, y) / r) for x, y, r in zip(a, b, ranges, strict=True)
    )


def drawn_realism(
    drawn: np.ndarray, scan: np.ndarray, before: np.ndarray, after: np.ndarray, brain: np.ndarray
) -> Realism:
    """Scores of the generated image in the new region of the tumour.

    The comparison uses the patient's pixels of the labels in the new region (mostly oedema), in the
    same proportions.

    Args:
        drawn, scan: generated and original image, (C, H, W) in [-1, 1].
        before, after: labels, (H, W).
        brain: (H, W) bool.
    """
    same_shape("drawn slice", drawn[0], "brain", brain)
    new = (after > 0) & (before == 0) & brain
    own = [before == label for label in np.unique(after[new])]
    weights = [int((after[new] == label).sum()) for label in np.unique(after[new])]
    ranges = brain_range(scan, brain)
    beside = brain & ~ndimage.binary_dilation((after > 0) | (before > 0), iterations=BESIDE_PX)
    moved = (np.abs(drawn - scan) > CHANGED * ranges[:, None, None]).any(0)
    outside = float(moved[beside].mean()) if beside.any() else None
    if new.sum() < _FEW or sum(int(o.sum()) for o in own) < _FEW:
        return Realism(None, None, None, outside)
    pixels = _in_proportion([scan[:, o] for o in own], weights)
    fall = (scan - drawn)[:, new] / ranges[:, None]
    return Realism(
        intensity_distance(drawn[:, new], pixels, ranges),
        intensity_distance(scan[:, new], pixels, ranges),
        tuple((fall > DARKER).mean(1).tolist()),
        outside,
    )


def _in_proportion(groups: list[np.ndarray], weights: list[int]) -> np.ndarray:
    """Quantiles (C, N) of all groups; the weight of a group is its number of quantiles."""
    taken = [
        np.quantile(g, (np.arange(w) + 0.5) / w, axis=1).T
        for g, w in zip(groups, weights, strict=True) if g.shape[1] and w
    ]  # fmt: skip
    return np.concatenate(taken, 1)

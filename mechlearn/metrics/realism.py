"""How real a drawn region looks, by numbers: beside the patient's own tumour and the tissue before.

Intensities are divided by the brain's range, from its 1st to its 99th percentile, contrast by
contrast, so that figures compare over scanners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from mechlearn.checks import same_shape

__all__ = ["Realism", "brain_range", "drawn_realism", "intensity_distance"]

DARKER = 0.1  # of the brain's range: what counts as darkened tissue
CHANGED = 0.05  # of it: what counts as changed tissue
BESIDE_PX = 4  # half width in pixels of the seam of a drawn region around the tumour
_FEW = 20  # pixels: fewer tell nothing of a distribution


@dataclass(frozen=True)
class Realism:
    """Of the new region, per contrast (C,); None where there are too few pixels.

    distance: Wasserstein-1 to the patient's own pixels of the same labels, over the brain's range.
    untouched: the same of the tissue that was there before: what drawing nothing scores.
    darkened: share of pixels darker than before by more than a tenth of the brain's range.
    outside_changed: share of the brain's other pixels, away from both outlines, that changed by
        more than a twentieth of it in some contrast.
    """

    distance: tuple[float, ...] | None
    untouched: tuple[float, ...] | None
    darkened: tuple[float, ...] | None
    outside_changed: float | None = None


def brain_range(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """1st to 99th percentile of the brain's pixels of each contrast, (C,), at least 0.001."""
    low, high = np.percentile(image[:, brain], (1, 99), axis=1)
    return np.maximum(high - low, 1e-3)


def intensity_distance(a: np.ndarray, b: np.ndarray, ranges: np.ndarray) -> tuple[float, ...]:
    """Wasserstein-1 between pixels (C, N) and (C, M), contrast by contrast, over `ranges`."""
    return tuple(
        float(stats.wasserstein_distance(x, y) / r) for x, y, r in zip(a, b, ranges, strict=True)
    )


def drawn_realism(
    drawn: np.ndarray, scan: np.ndarray, before: np.ndarray, after: np.ndarray, brain: np.ndarray
) -> Realism:
    """What was drawn where the tumour is new.

    Args:
        drawn, scan: (C, H, W) in [-1, 1]. before, after: labels, (H, W). brain: (H, W) bool.

    The own pixels are those of the labels that the new region has, in their proportions: mostly
    oedema.
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
    """Quantiles of each group, (C, N), as many as its weight."""
    taken = [
        np.quantile(g, (np.arange(w) + 0.5) / w, axis=1).T
        for g, w in zip(groups, weights, strict=True) if g.shape[1] and w
    ]  # fmt: skip
    return np.concatenate(taken, 1)

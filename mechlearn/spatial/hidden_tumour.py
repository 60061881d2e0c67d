"""What of a slice is known when its tumour changes, for the inpainter and its training."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["faded_px", "inpainting_task", "known_pixels"]

DOUBTFUL_PX = 5.0  # a tumour fades within this distance of its border
AROUND_PX = 12  # distance up to which tissue is around a tumour
FEW = 20  # least number of pixels for a median
FADE_PX = 2.0  # the border of a tumour fades as exp(-(d - 1) / FADE_PX), d pixels inside
OUTER_PX = (0, 1, 1)  # margin outside the tumour that is hidden with it; one is drawn
INNER_PX = (0, 0, 1, 2, 3)  # depth of the border of the remaining tumour that is hidden with it
COARSE = 5  # knots of a smooth random field along each side


def known_pixels(
    before: np.ndarray, after: np.ndarray, room: np.ndarray, *, outer_px: float = 0.0,
    border_px: int = 0,
) -> np.ndarray:  # fmt: skip
    """How much of a slice is known when its labels change, (H, W) float32.

    Args:
        before, after: canonical labels, (H, W).
        room: pixels that may change, (H, W) bool.
        outer_px: width of a margin around the new tumour that is hidden with it.
        border_px: depth of the old border that is hidden with the new tumour: see `faded_px`.

    Returns:
        1: the pixel stays; 0: it gets another label of the tumour, or is beside the new tumour;
        .5: it was near the border of the tumour, where a tumour fades, and is now inside.
    """
    new, tumour = (after > 0) & (before == 0), after > 0
    hidden = tumour & (after != before)
    doubtful = np.zeros_like(tumour)
    if new.any():
        beside = ndimage.distance_transform_edt(~new)
        old = tumour & ~hidden
        doubtful = old & (beside <= DOUBTFUL_PX)
        hidden |= old & (beside <= border_px)
        hidden |= ~tumour & (before == 0) & (beside <= outer_px)
    known = 1.0 - hidden - 0.5 * (doubtful & ~hidden)
    return np.where(room, known, 1.0).astype(np.float32)


def faded_px(
    image: np.ndarray, labels: np.ndarray, brain: np.ndarray, *, faint_share: float
) -> int:
    """Depth to which the border of a tumour is fainter than its inside, in pixels, 0 to 5.

    The contrasts are combined by the difference of the tumour's deep part to the tissue around over
    the variances, and the medians of rings of equal depth are compared with the deep part. The
    label that most of the border has is measured.

    Args:
        image: (C, H, W). labels: canonical, (H, W). brain: (H, W) bool.
        faint_share: a ring is fainter if it has less than this share of the deep part's difference
            to the tissue.
    """
    depth, beside = (ndimage.distance_transform_edt(m) for m in (labels > 0, labels == 0))
    border = labels[(depth > 0) & (depth <= 2)]
    tissue = brain & (beside > 2) & (beside <= AROUND_PX)
    if not border.size or tissue.sum() < FEW:
        return 0
    own = labels == np.bincount(border).argmax()
    deep = own & (depth > DOUBTFUL_PX)
    if deep.sum() < FEW:
        deep = own & (depth >= np.quantile(depth[own], 0.7))
    low, high = (np.median(image[:, m], axis=1) for m in (tissue, deep))
    spread = image[:, tissue].std(1) + image[:, deep].std(1) + 1e-3
    weights = (high - low) / spread**2
    reached = max(float(weights @ (high - low)), 1e-6)
    for step in range(1, int(DOUBTFUL_PX) + 1):
        ring = own & (depth > step - 1) & (depth <= step)
        if ring.sum() < FEW:
            return step - 1
        share = float(weights @ (np.median(image[:, ring], axis=1) - low)) / reached
        if share >= faint_share:
            return step - 1
    return int(DOUBTFUL_PX)


def inpainting_task(
    labels: np.ndarray, brain: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What is known of a training slice, and how its tumour fades, (H, W) float32 each.

    In most slices the outer part of the tumour is hidden (`known` 0), to a random and uneven depth;
    what remains of the tumour fades at its border as whole tumours do, and is doubtful there
    (`known` .5). In a quarter of the slices a random blob of the tumour is hidden, in slices
    without tumour a blob of the brain.

    Args:
        labels: (H, W), canonical. brain: (H, W) bool. rng: of the slice.

    Returns:
        known: see `known_pixels`.
        fading: about 1 at the border of the remaining tumour, 0 in its depth.
    """
    tumour = labels > 0
    field = _smooth_field(labels.shape, rng)
    kept, uneven, blob = rng.uniform(0.25, 0.95), rng.uniform(0.0, 0.6), rng.random()
    outer_px, inner_px = rng.choice(OUTER_PX), rng.choice(INNER_PX)
    if not tumour.any() or blob < 0.25:
        within = tumour if tumour.any() else brain
        share = (1 - kept) * (1.0 if tumour.any() else 0.2)
        limit = np.quantile(field[within], 1 - share) if within.any() else np.inf
        known = 1.0 - (within & (field >= limit))
        return known.astype(np.float32), np.zeros(labels.shape, np.float32)
    depth = ndimage.distance_transform_edt(tumour) * np.exp(uneven * field)
    left = np.where(depth > np.quantile(depth[tumour], 1 - kept), labels, 0)
    known = known_pixels(left, labels, brain, outer_px=outer_px, border_px=inner_px)
    border = ndimage.distance_transform_edt(left > 0)
    fading = np.where(known == 0.5, np.exp((1 - border) / FADE_PX + 0.3 * field), 0.0)
    return known, fading.astype(np.float32)


def _smooth_field(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Smooth random field of standard deviation about 1, (H, W)."""
    coarse = rng.standard_normal((COARSE, COARSE))
    return np.asarray(ndimage.zoom(coarse, np.array(shape) / COARSE, order=3))

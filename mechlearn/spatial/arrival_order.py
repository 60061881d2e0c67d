"""Arrival order of the pixels of a slice, as joining fractions.

A joining fraction is the tumour fraction (tumour area over brain area) at which a pixel becomes
tumour. The mask of any size is a threshold of the joining fractions: masks of growing sizes are
nested, and each has exactly the requested area.

`growth_order` predicts the order from one scan: a score of the distance to the tumour, the travel
time of its front and the intensity of the tissue, with weights fitted to phantoms
(`spatial.order_prior`). Phantoms grow by a variant of Fisher-KPP, on which travel times are based,
so its gain over dilation on phantoms is optimistic. Validate it, or fit it, on follow-ups of
patients before use.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from mechlearn.checks import finite, same_shape
from mechlearn.records import AxialSlice
from mechlearn.spatial.order_prior import NEEDED, GrowthPrior, load_prior
from mechlearn.spatial.regions import signed_distance
from mechlearn.spatial.travel import tissue_speed, travel_mm

__all__ = ["growth_order", "joining_fraction", "mask_at_area", "order_from", "travel_order"]


def joining_fraction(
    field: np.ndarray, brain: np.ndarray, *, ties: np.ndarray | None = None
) -> np.ndarray:
    """Rank of every brain pixel in a field, divided by the number of brain pixels.

    `regions.dilate_to_area` is the special case with `field` = signed distance to the mask and
    `ties` = distance to its centroid.

    Args:
        field: (H, W); a lower value means an earlier arrival. Only the order of values matters;
            +inf arrives last.
        brain: (H, W) bool.
        ties: (H, W), orders pixels of equal value; remaining ties are in array order. Values are
            compared to six decimals, so that rounding errors do not change the order.

    Returns:
        (H, W) float32: in (0, 1] inside the brain, inf outside; its threshold at k / (brain
        pixels) has k pixels.

    Raises:
        ValueError: shapes differ, or `field` is NaN at a brain pixel.
    """
    field, brain = np.asarray(field, float), np.asarray(brain, bool)
    same_shape("field", field, "brain", brain)
    candidates = np.flatnonzero(brain)
    values = field.ravel()[candidates]
    if np.isnan(values).any():
        raise ValueError(
            f"field is NaN at {int(np.isnan(values).sum())} of {values.size} brain pixels, so they "
            "cannot be ordered. Use inf for pixels that arrive last."
        )
    keys = [candidates, np.round(values, 6)]
    if ties is not None:
        same_shape("ties", np.asarray(ties), "brain", brain)
        keys.insert(1, np.round(np.asarray(ties, float).ravel()[candidates], 6))
    fraction = np.full(brain.size, np.inf, np.float32)
    fraction[candidates[np.lexsort(keys)]] = np.arange(1, candidates.size + 1) / candidates.size
    return fraction.reshape(brain.shape)


def mask_at_area(joining: np.ndarray, area_px: float) -> np.ndarray:
    """The tumour at a size, (H, W) bool: the first `area_px` (rounded) pixels of the order.

    Args:
        joining: (H, W) from `joining_fraction`.
        area_px: area of the mask; above the brain's area, the whole brain.

    Raises:
        ValueError: a negative or undefined area.
    """
    if finite("area_px", area_px) < 0:
        raise ValueError(f"area_px={area_px:g}: an area is 0 or more.")
    brain_px = int(np.isfinite(joining).sum())
    if brain_px == 0:
        return np.zeros(joining.shape, bool)
    return np.asarray(joining * brain_px <= round(area_px) + 0.5)


def growth_order(reference: AxialSlice, *, prior: GrowthPrior | None = None) -> np.ndarray:
    """Predicted joining fractions of a scan, for growth and for shrinkage.

    Args:
        reference: the scan with its tumour; better with its surroundings
            (`SliceStore.read(row, surroundings=True)`).
        prior: weights; None for the packaged ones, fitted to phantoms: 3D weights where the scan
            has its surroundings, otherwise 2D weights. They need T1, T2 and FLAIR; for a scan
            without one of them the result is `travel_order`.

    Returns:
        (H, W) float32 joining fractions, inf outside the brain. The pixels of the present tumour
        come first, the deepest before the others, so a shrinking tumour keeps its centre.

    Raises:
        ValueError: no tumour in the brain; a given prior and a scan without a needed contrast.
    """
    lacking = sorted(set(NEEDED) - set(reference.contrasts))
    if lacking and prior is not None:
        raise ValueError(
            f"slice {reference.slice_id}: a growth prior needs {', '.join(NEEDED)}, and "
            f"{', '.join(lacking)} is missing. Use sampler.order=travel."
        )
    if lacking:
        return travel_order(reference)
    near = reference.surroundings
    if prior is None and near is not None and near.score is not None:
        return _outward(reference, near.score)
    return _outward(reference, (prior or _prior("phantom")).score(reference))


def travel_order(reference: AxialSlice) -> np.ndarray:
    """Joining fractions by the travel time of a front alone, without fitted weights.

    The travel time is in 3D where the scan has its surroundings, otherwise in 2D.
    """
    brain, spacing = reference.brain, reference.spacing_mm
    if reference.surroundings is not None:
        return _outward(reference, reference.surroundings.travel_mm)
    tumour = reference.tumour & brain
    speed = tissue_speed(
        reference.image, brain, tumour, contrasts=reference.contrasts, spacing_mm=spacing
    )
    return _outward(reference, travel_mm(speed, tumour, spacing))


def order_from(source: str, reference: AxialSlice) -> np.ndarray:
    """The order that `sampler.order` names: `phantom`, `travel`, or the JSON file of a prior."""
    if source == "travel":
        return travel_order(reference)
    return growth_order(reference, prior=None if source == "phantom" else _prior(source))


@cache
def _prior(source: str) -> GrowthPrior:
    return load_prior(source)


def _outward(reference: AxialSlice, score: np.ndarray) -> np.ndarray:
    """Joining fractions: first the tumour by depth, then the rest of the brain by the score."""
    tumour = reference.tumour & reference.brain
    depth = signed_distance(tumour, spacing_mm=reference.spacing_mm)
    # Only ranks matter: depth is negative, so the shifted score comes after it.
    outside = score - min(float(score.min()), 0.0)
    return joining_fraction(np.where(tumour, depth, outside), reference.brain, ties=depth)

"""The order in which pixels join a tumour: a place for every size.

A joining fraction is the tumour fraction (tumour area over brain area) at which a pixel becomes
tumour. The mask of any size is then a threshold, masks of growing sizes are nested, and each has
exactly the area that was asked for.

`growth_order` is the order that a growing tumour is likely to take, from one scan: a prior of
nearness, travel time of its front and the look of the tissue, with weights fitted to phantoms
(`spatial.order_prior`). Phantoms are grown by a relative of Fisher-KPP, from which travel comes:
part of its gain on dilation there comes from knowing their growth model and how they are painted.
On patients it is a hypothesis; fit it to their own follow-ups before it is believed.
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
    """Rank of every brain pixel in a field over the brain's pixels: when it joins the tumour.

    Under `ties`, `regions.dilate_to_area` is the case of `field` = signed distance to the mask and
    `ties` = distance to its centroid.

    Args:
        field: (H, W); lower joins sooner. Only its order counts; +inf joins last.
        brain: (H, W) bool.
        ties: (H, W), decides between equal values; then the pixel earlier in the array. Values
            are compared to six decimals: an eye's last bits must not decide.

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
            f"field is NaN at {int(np.isnan(values).sum())} of {values.size} brain pixels: they "
            "have no place in an order. Use inf for what joins last."
        )
    keys = [candidates, np.round(values, 6)]
    if ties is not None:
        same_shape("ties", np.asarray(ties), "brain", brain)
        keys.insert(1, np.round(np.asarray(ties, float).ravel()[candidates], 6))
    fraction = np.full(brain.size, np.inf, np.float32)
    fraction[candidates[np.lexsort(keys)]] = np.arange(1, candidates.size + 1) / candidates.size
    return fraction.reshape(brain.shape)


def mask_at_area(joining: np.ndarray, area_px: float) -> np.ndarray:
    """The tumour at a size, (H, W) bool: the `area_px` pixels (rounded) that join first.

    Args:
        joining: (H, W) of `joining_fraction`.
        area_px: wanted area; beyond the brain's area, the whole brain.

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
    """When each pixel is likely to join the tumour of a scan, or to leave it.

    Args:
        reference: the scan, with its tumour; better with its surroundings
            (`SliceStore.read(row, surroundings=True)`).
        prior: weights; None for the packaged ones, fitted to phantoms: in space where the scan
            knows its surroundings, else in the plane. They read T1, T2 and FLAIR: a scan without
            one of them gets its `travel_order`.

    Returns:
        (H, W) float32 joining fractions, inf outside the brain. The present tumour's pixels come
        first, the deepest before the others: a shrinking tumour keeps its middle.

    Raises:
        ValueError: no tumour in the brain; a user's prior for a scan that lacks a contrast.
    """
    lacking = sorted(set(NEEDED) - set(reference.contrasts))
    if lacking and prior is not None:
        raise ValueError(
            f"slice {reference.slice_id}: a growth prior reads {', '.join(NEEDED)}, and "
            f"{', '.join(lacking)} is not there. Take sampler.order=travel."
        )
    if lacking:
        return travel_order(reference)
    near = reference.surroundings
    if prior is None and near is not None and near.score is not None:
        return _outward(reference, near.score)
    return _outward(reference, (prior or _prior("phantom")).score(reference))


def travel_order(reference: AxialSlice) -> np.ndarray:
    """`growth_order` by the travel time of a front alone, with nothing fitted.

    Through space where the scan knows its surroundings, else in the plane.
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
    """The order that `sampler.order` names: `phantom`, `travel`, or a prior's JSON."""
    if source == "travel":
        return travel_order(reference)
    return growth_order(reference, prior=None if source == "phantom" else _prior(source))


@cache
def _prior(source: str) -> GrowthPrior:
    return load_prior(source)


def _outward(reference: AxialSlice, score: np.ndarray) -> np.ndarray:
    """The tumour by depth, then the rest of the brain by its score."""
    tumour = reference.tumour & reference.brain
    depth = signed_distance(tumour, spacing_mm=reference.spacing_mm)
    # Two blocks of one field: ranks are all that count, so the score may have any range.
    outside = score - min(float(score.min()), 0.0)
    return joining_fraction(np.where(tumour, depth, outside), reference.brain, ties=depth)

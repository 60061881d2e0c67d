"""Arrival maps of a tumour in 2D or 3D, from travel times of a front.

    score(x) = T_edge(x) + deep_weight * T_deep(x)

T_edge is the travel time of a front from the tumour's edge, T_deep that from its deepest part, so
that voxels near the bulk of the tumour come before voxels near a thin extension. The front is
faster along the anterior-posterior axis (the direction of the long association tracts), slow in
grey matter and very slow in CSF. A shrinking tumour loses voxels at its edge first, and earlier the
further they are from the deepest part.

Constants were chosen on pairs of visits of real patients: see experiments/where_real. For simulated
tumours there is an order fitted to simulated tumours (`spatial.fitted_order`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mechlearn.checks import finite, in_range, one_of, positive, same_shape
from mechlearn.records import ArrivalMap
from mechlearn.spatial.fitted_order import phantom_order
from mechlearn.spatial.front import front_time_mm
from mechlearn.spatial.place_spread import packaged_spread
from mechlearn.spatial.regions import box_around, signed_mm
from mechlearn.spatial.travel import tissue_speed

__all__ = [
    "CAVITY_LABEL", "ORDERS", "PLAIN", "FrontSpec", "arrival_from_score", "front_score",
    "image_speed", "volume_arrival",
]  # fmt: skip

CAVITY_LABEL = 4
CLOSED_SPEED = 0.15  # tissue with a lower speed is mainly CSF, or falx or tentorium
SHOWS_CSF = {"t2w", "t2f"}  # with both, CSF (bright on T2, dark on FLAIR) is never tumour
ORDERS = ("auto", "travel", "distance", "phantom")


@dataclass(frozen=True)
class FrontSpec:
    """Settings of the front.

    Attributes:
        grey, csf: speeds relative to white matter.
        front_back: factor on the speed along the anterior-posterior axis.
        deep_weight: weight of the travel time from the tumour's deepest part.
        deep_share: the deepest part has at least this share of the greatest depth.
        shrink_weight: weight of the travel time from the deepest part in the order of shrinkage.
    """

    grey: float = 0.3
    csf: float = 0.07
    front_back: float = 1.43
    deep_weight: float = 0.3
    deep_share: float = 0.7
    shrink_weight: float = 0.1

    def __post_init__(self) -> None:
        in_range("FrontSpec.grey", self.grey, 0.0, 10.0)
        in_range("FrontSpec.csf", self.csf, 0.0, 10.0)
        positive("FrontSpec.front_back", self.front_back)
        finite("FrontSpec.deep_weight", self.deep_weight)
        in_range("FrontSpec.deep_share", self.deep_share, 0.0, 1.0)
        finite("FrontSpec.shrink_weight", self.shrink_weight)


# The baseline "travel time": travel time from the edge only, equal speed along all axes.
PLAIN = FrontSpec(front_back=1.0, deep_weight=0.0, shrink_weight=0.0)


def volume_arrival(
    labels: np.ndarray,
    brain: np.ndarray,
    images: Mapping[str, np.ndarray],
    *,
    spacing_mm: Sequence[float],
    order: str = "auto",
    speed: np.ndarray | None = None,
    spec: FrontSpec | None = None,
) -> ArrivalMap:
    """Arrival map of one visit: the size at which the tumour reaches each voxel.

    Arrays are (H, W) or (Z, H, W) in canonical order: z upwards, rows from front to back.

    Args:
        labels: canonical labels, 0 none, 1 core, 2 oedema, 3 enhancing, 4 resection cavity.
        brain: bool; tumour voxels outside it are added to it.
        images: contrast -> image of the same shape, any of t1n, t2w, t2f, in any intensity unit;
            without images the speed in the brain is 1, unless `speed` is given.
        spacing_mm: voxel size along each axis.
        order: `auto` the score above; `travel` the travel time from the edge; `distance` the
            distance; `phantom` the order fitted to simulated tumours, which needs T1, T2 and FLAIR.
        speed: relative speed of the front in each voxel (for example of a template), replaces
            `images`.
        spec: settings of the front for `auto`; None for the default.

    Returns:
        Sizes in mm3 (mm2 in 2D); for `auto` and `phantom` in 3D with the spread estimated from
        pairs of visits. Sizes are inf outside the brain, in a resection cavity, and in CSF if T2
        and FLAIR show it. CSF of a template, or from T1 alone, is reached late, and the spread is
        not applied there.

    Raises:
        ValueError: no tumour, an unknown order, or shapes that differ.

    Example:
        >>> import numpy as np
        >>> labels = np.zeros((1, 5, 5), np.uint8)
        >>> labels[0, 2, 2] = 2
        >>> arrival = volume_arrival(labels, np.ones((1, 5, 5), bool), {}, spacing_mm=(1, 1, 1))
        >>> int(arrival.mask(5.0).sum())
        5
    """
    one_of("order", order, ORDERS)
    labels, brain = np.asarray(labels), np.asarray(brain, bool)
    same_shape("labels", labels, "brain", brain)
    present, cavity = (labels > 0) & (labels != CAVITY_LABEL), labels == CAVITY_LABEL
    if not present.any():
        raise ValueError(
            "labels have no tumour (1 core, 2 oedema, 3 enhancing), so there is no arrival map. "
            "Use an earlier visit with a tumour."
        )
    where = (brain | present) & ~cavity
    box = box_around(where)
    inner, tumour = where[box], present[box]
    spacing = tuple(float(s) for s in spacing_mm)
    edge_mm = signed_mm(tumour, spacing)
    closed = np.zeros(labels.shape, bool)
    cut = {name: np.asarray(image)[box] for name, image in images.items()}
    if order == "distance":
        score = edge_mm
    else:
        chosen = PLAIN if order == "travel" else spec or FrontSpec()
        if speed is None:
            pace = image_speed(cut, inner, tumour, spacing_mm=spacing, spec=chosen)
        else:
            pace = np.where(inner, np.asarray(speed)[box], 0.0)
        closed[box] = shut = inner & ~tumour & (pace < CLOSED_SPEED)
        if order == "phantom":
            score = phantom_order().score(cut, inner, tumour, spacing)
        else:
            score = front_score(pace, tumour, spacing, spec=chosen, edge_mm=edge_mm)
        if speed is None and set(images) >= SHOWS_CSF:
            inner = inner & ~shut
    sizes = np.full(labels.shape, np.inf)
    sizes[box] = arrival_from_score(score, tumour, inner, spacing, edge_mm=edge_mm)
    if labels.ndim == 2:
        return ArrivalMap(sizes, present, spacing, "mm2")
    spread = None
    if order in ("auto", "phantom"):
        spread = packaged_spread() if order == "auto" else phantom_order().spread
    return ArrivalMap(sizes, present, spacing, "mm3", spread, closed)


def image_speed(
    images: Mapping[str, np.ndarray],
    brain: np.ndarray,
    tumour: np.ndarray,
    *,
    spacing_mm: Sequence[float],
    spec: FrontSpec,
) -> np.ndarray:
    """Relative speed of the front estimated from the contrasts, float32; 1 in the brain without
    the needed contrasts."""
    names = [name for name in ("t1n", "t2w", "t2f") if name in images]
    if "t1n" not in names and not {"t2w", "t2f"} <= set(names):
        return brain.astype(np.float32)
    stack = np.stack([np.asarray(images[name], np.float32) for name in names])
    inside = stack[:, brain]
    scale = np.maximum(np.ptp(np.percentile(inside, (1, 99), axis=1), axis=0), 1e-6)
    stack /= scale.reshape(-1, *[1] * brain.ndim)  # `standardised` needs ranges of about 1
    return tissue_speed(stack, brain, tumour, contrasts=names, spacing_mm=spacing_mm,
                        grey=spec.grey, csf=spec.csf)  # fmt: skip


def front_score(
    speed: np.ndarray,
    tumour: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    spec: FrontSpec,
    edge_mm: np.ndarray | None = None,
) -> np.ndarray:
    """Score of every voxel in mm: the order of growth outside the tumour, of shrinkage inside.

    Outside: travel time from the edge plus the weighted travel time from the deepest part. Inside:
    the weighted travel time from the deepest part minus the depth. `edge_mm` as in
    `arrival_from_score`.
    """
    axes = [1.0] * tumour.ndim
    axes[-2] = spec.front_back
    outside = front_time_mm(speed, tumour, spacing_mm, axis_speed=axes)
    depth = -(signed_mm(tumour, spacing_mm) if edge_mm is None else edge_mm)
    if spec.deep_weight == 0 and spec.shrink_weight == 0:
        return np.where(tumour, -depth, outside)
    deep = tumour & (depth >= spec.deep_share * depth.max())
    pace = np.where(tumour, 1.0, speed)
    far = front_time_mm(pace, deep, spacing_mm, axis_speed=axes)
    # Tissue that the front does not reach gets the largest finite time.
    far = np.where(np.isfinite(far), far, far[np.isfinite(far)].max())
    return np.where(tumour, spec.shrink_weight * far - depth, outside + spec.deep_weight * far)


def arrival_from_score(
    score: np.ndarray,
    tumour: np.ndarray,
    where: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    edge_mm: np.ndarray | None = None,
) -> np.ndarray:
    """Arrival sizes from a score: first the tumour, then the rest of `where`, each by the score.

    Args:
        score: a lower score means an earlier arrival, and a later loss when the tumour shrinks.
            Only the order of scores matters; inf arrives last.
        tumour, where: bool; the tumour is in `where`; voxels outside `where` are never reached.
        spacing_mm: voxel size along each axis.
        edge_mm: distance to the tumour's edge, negative inside; computed if None.

    Returns:
        float64: rank times voxel size, inf outside `where`. Voxels of equal score are ordered by
        their distance to the tumour's edge, then by array order.

    Raises:
        ValueError: NaN among the scores.
    """
    candidates = np.flatnonzero(where)
    key = np.ravel(score)[candidates].astype(float)
    if np.isnan(key).any():
        raise ValueError(f"score is NaN at {int(np.isnan(key).sum())} voxels. Use inf for voxels "
                         "that arrive last.")  # fmt: skip
    edge_mm = signed_mm(tumour, spacing_mm) if edge_mm is None else edge_mm
    key, ties = np.round(key, 6), np.round(np.ravel(edge_mm)[candidates], 6)
    inside = tumour.ravel()[candidates]
    blocks = (np.flatnonzero(inside), np.flatnonzero(~inside))
    order = np.concatenate([block[np.lexsort((ties[block], key[block]))] for block in blocks])
    sizes = np.full(where.size, np.inf)
    voxel = float(np.prod(np.asarray(spacing_mm, float)))
    sizes[candidates[order]] = np.arange(1, candidates.size + 1) * voxel
    return sizes.reshape(where.shape)

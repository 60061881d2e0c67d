"""A visit's tumour in space, slice by slice: distance to it and travel time from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from mechlearn.data.stored_visit import StoredVisit
from mechlearn.records import Surroundings
from mechlearn.spatial.fitted_order import MARGIN_MM, near_box, phantom_order
from mechlearn.spatial.order_prior import NEEDED
from mechlearn.spatial.travel import LIMIT_MM, tissue_speed, travel_mm

__all__ = ["VisitSurroundings", "surroundings_of"]

_BLUR_MM = 1.0


@dataclass(frozen=True)
class VisitSurroundings:
    """The arrays of `records.Surroundings`, (S, H, W) float32, by stored slice."""

    distance_mm: np.ndarray
    travel_mm: np.ndarray
    score: np.ndarray | None = None

    def at(self, row: int) -> Surroundings:
        """Those of one stored slice, copied: a slice must not keep its whole visit in memory."""
        score = None if self.score is None else self.score[row].copy()
        return Surroundings(self.distance_mm[row].copy(), self.travel_mm[row].copy(), score)


def surroundings_of(folder: Path) -> VisitSurroundings | None:
    """Surroundings of a stored visit's slices; None if it has no tumour. Seconds a visit.

    Args:
        folder: the visit's, in the store. Slices that were not stored (too little brain) count as
            no brain.
    """
    visit = StoredVisit.open(folder)
    labels, brain = visit.array("labels"), visit.array("brain")
    tumour = (labels > 0) & (labels != 4) & brain
    if not tumour.any():
        return None
    pixel = visit.placement.grid.pixel_mm
    spacing = (visit.placement.spacing_mm[0], pixel, pixel)
    planes = np.array(visit.zs) - visit.zs[0]
    count = int(planes[-1]) + 1

    def whole(stored: np.ndarray) -> np.ndarray:
        out = np.zeros((count, *stored.shape[1:]), stored.dtype)
        out[planes] = stored
        return out

    tumour = whole(tumour)
    box = near_box(tumour, spacing)
    inner, inside = tumour[box], whole(brain)[box]
    image = np.moveaxis(whole(visit.array("images")[:, :, box[1], box[2]])[box[0]], 1, 0)
    speed = tissue_speed(
        image.astype(np.float32), inside, inner, contrasts=visit.contrasts, spacing_mm=spacing,
        blur_mm=_BLUR_MM,
    )  # fmt: skip
    distance = np.full(tumour.shape, MARGIN_MM, np.float32)
    distance[box] = np.minimum(
        ndimage.distance_transform_edt(~inner, sampling=spacing)
        - ndimage.distance_transform_edt(inner, sampling=spacing),
        MARGIN_MM,
    )
    travel = np.full(tumour.shape, LIMIT_MM, np.float32)
    travel[box] = travel_mm(speed, inner, spacing)
    score = None
    if set(NEEDED) <= set(visit.contrasts):
        shown = dict(zip(visit.contrasts, image.astype(np.float32), strict=True))
        near = phantom_order().score(shown, inside, inner, spacing)
        score = np.full(tumour.shape, near.max(), np.float32)
        score[box] = near
        score = score[planes]
    return VisitSurroundings(distance[planes], travel[planes], score)

"""Masks and probabilities of growth maps and baselines on one slice, and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.metrics.calibration import average_precision, brier, ece, evaluation_region
from mechlearn.metrics.distance import dice, hd95_mm
from mechlearn.records import AxialSlice, GrowthMap
from mechlearn.spatial.arrival_order import mask_at_area, order_from
from mechlearn.spatial.baselines import dilation, heat_kernel, no_change

__all__ = ["BASELINES", "MAPS", "METHODS", "Placement", "place", "score"]

BASELINES = ("no_change", "dilation_forecast", "dilation_true", "heat_kernel",
             "growth_order_forecast", "growth_order_true")  # fmt: skip
MAPS = ("static", "dynamic")
METHODS = BASELINES + MAPS


@dataclass(frozen=True)
class Placement:
    """One method's prediction on a slice.

    mask (H, W) bool includes the initial mask; alone (H, W) bool is the mask of a growth map
    without the initial mask, None for a baseline; probability (H, W) of growth outside the initial
    mask, None where the method has none.
    """

    mask: np.ndarray
    alone: np.ndarray | None = None
    probability: np.ndarray | None = None


def place(
    reference: AxialSlice,
    maps: Mapping[str, GrowthMap],
    *,
    forecast_area_mm2: float,
    true_area_mm2: float | None,
    threshold: float = 0.5,
    order: str = "phantom",
) -> dict[str, Placement]:
    """Predictions of growth maps and baselines from one reference slice.

    Args:
        reference: the last scan.
        maps: `dynamic` and optionally `static` growth maps of it.
        forecast_area_mm2: area of the baselines dilation, heat kernel and growth order.
        true_area_mm2: area of the follow-up, for the baselines `_true`; None leaves them out.
        threshold: probability from which a pixel counts as grown.
        order: of the baseline growth order: that of the sampler (`SamplerSpec.order`).
    """
    initial, brain = reference.tumour, reference.brain
    area_px = _pixels(forecast_area_mm2, reference)
    heat = heat_kernel(initial, brain, area_px)
    joining = order_from(order, reference)
    out = {
        "no_change": Placement(no_change(initial), probability=np.zeros(initial.shape)),
        "dilation_forecast": Placement(
            dilation(initial, brain, area_px, spacing_mm=reference.spacing_mm)
        ),
        "heat_kernel": Placement(heat >= threshold, probability=heat),
        "growth_order_forecast": Placement(mask_at_area(joining, area_px)),
    }
    if true_area_mm2 is not None:
        true_px = _pixels(true_area_mm2, reference)
        out["dilation_true"] = Placement(
            dilation(initial, brain, true_px, spacing_mm=reference.spacing_mm)
        )
        out["growth_order_true"] = Placement(mask_at_area(joining, true_px))
    for name, grown in maps.items():
        out[name] = Placement(
            grown.mask(threshold, initial=initial), grown.mask(threshold), grown.probability
        )
    return out


def _pixels(area_mm2: float, reference: AxialSlice) -> int:
    """Area in whole pixels, between one and the brain's."""
    most = max(int(reference.brain.sum()), 1)
    return min(max(round(area_mm2 / reference.pixel_mm2), 1), most)


def score(placements: Mapping[str, Placement], reference: AxialSlice, truth: np.ndarray) -> Row:
    """Flat keys for one slice: HD95 and Dice by method, calibration where there is a probability.

    Args:
        placements: by method.
        reference: the last scan.
        truth: true follow-up mask, (H, W) bool.
    """
    row: Row = {}
    region = evaluation_region(reference.brain, reference.tumour)
    for name, placement in placements.items():
        row[f"hd95_{name}_mm"] = hd95_mm(placement.mask, truth, reference.spacing_mm)
        row[f"dice_{name}"] = dice(placement.mask, truth)
        if placement.alone is not None:
            row[f"hd95_{name}_alone_mm"] = hd95_mm(placement.alone, truth, reference.spacing_mm)
            row[f"dice_{name}_alone"] = dice(placement.alone, truth)
        if placement.probability is not None:
            p = placement.probability
            row[f"brier_{name}"] = brier(p, truth, region=region)
            row[f"ece_{name}"] = ece(p, truth, region=region)
            row[f"average_precision_{name}"] = average_precision(p, truth, region=region)
    return row

"""Where growth was put: masks and probabilities of growth maps and baselines against the truth."""

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
    """One method's prediction on a slice: masks with and without the initial tumour, a probability.

    mask (H, W) bool holds the initial mask; alone (H, W) bool is a growth map's own mask, None for
    a baseline; probability (H, W) of growth outside the initial mask, None where there is none.
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
    """Growth maps and baselines from one reference slice; those of `_true` need the true area.

    Args:
        reference: the last scan.
        maps: `dynamic` and perhaps `static` growth maps over it.
        forecast_area_mm2: what dilation, heat kernel and growth order grow to.
        true_area_mm2: of the follow-up, for the baselines that know it.
        threshold: probability from which a pixel counts as grown.
        order: of growth, for the baseline of that name: the one that the sampler uses
            (`SamplerSpec.order`).
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
        reference: the slice they start from.
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

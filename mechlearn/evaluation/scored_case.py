"""Scores of one forecast against the next visit, with those of simple baselines.

Every baseline is scored at the size of the forecast and at the true size. This separates errors of
size from errors of location.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mechlearn.checks import same_shape
from mechlearn.evaluation.rows import Row
from mechlearn.metrics.calibration import average_precision, brier, ece
from mechlearn.metrics.distance import dice, hd95_mm
from mechlearn.metrics.volume_overlap import continuous_dice, coverage_at_volume, surface_dice
from mechlearn.records import ArrivalMap
from mechlearn.spatial.regions import box_around
from mechlearn.spatial.volume_arrival import FrontSpec, arrival_from_score, volume_arrival
from mechlearn.spatial.volume_baselines import (
    BASELINE_MARGINS_MM,
    dilation_map,
    fisher_kpp_map,
    heat_map,
    uniform_margin,
)

__all__ = ["METRICS", "ForecastCase", "arrival_maps", "score_arrivals", "score_case", "scores_of"]

COVERAGES_MM = {"coverage_15mm": 15.0, "coverage_5mm": 5.0}  # uniform margins of equal volume
METRICS = ("dice", "hd95_mm", "surface_dice_2mm", "continuous_dice", "average_precision", "brier",
           "ece", *COVERAGES_MM)  # fmt: skip
_ROOM_MM = 5.0


@dataclass(frozen=True)
class ForecastCase:
    """The last visit, the true follow-up and a forecast (or none), arrays (Z, H, W) or (H, W).

    Attributes:
        patient: name.
        last, truth: whole tumour at the last visit and on the forecast day, bool.
        brain: bool; all true where the brain is not known.
        cavity: resection cavity at the last visit, bool; tumours do not grow into it.
        spacing_mm: voxel size along each axis.
        speed: relative speed of a front in each voxel; None for 1 in the brain.
        prediction: probability in [0, 1] or a mask as 0 and 1; None to score only baselines.
        score: of a fitted order, which `arrival_order` then uses; None for the default order.
    """

    patient: str
    last: np.ndarray
    truth: np.ndarray
    brain: np.ndarray
    cavity: np.ndarray
    spacing_mm: tuple[float, ...]
    speed: np.ndarray | None = None
    prediction: np.ndarray | None = None
    score: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("truth", "brain", "cavity", "speed", "score", "prediction"):
            other = getattr(self, name)
            if other is not None:
                same_shape(name, other, "last", self.last)
        if not self.last.any():
            raise ValueError(f"{self.patient}: the last visit has no tumour, so there are no "
                             "baselines. Leave this patient out, or give an earlier "
                             "visit.")  # fmt: skip
        if not self.truth.any():
            raise ValueError(f"{self.patient}: the true follow-up has no tumour. Score only the "
                             "size for this patient.")  # fmt: skip

    @property
    def where(self) -> np.ndarray:
        """Voxels where tumour is possible: brain and last tumour, without the cavity."""
        return np.asarray((self.brain | self.last) & ~self.cavity)

    @property
    def pace(self) -> np.ndarray:
        """Speed of a front, 0 outside `where`."""
        even = np.ones(self.last.shape, np.float32)
        return np.where(self.where, even if self.speed is None else self.speed, 0.0)

    @cached_property
    def treated_voxels(self) -> dict[str, int]:
        """Numbers of voxels in uniform margins around the last tumour, by name of COVERAGES_MM."""
        out = {}
        for name, margin in COVERAGES_MM.items():
            grown = uniform_margin(self.last, self.where, self.spacing_mm, margin)
            out[name] = int((grown & ~self.last).sum())
        return out

    def cropped(self) -> ForecastCase:
        """The same case cropped to a box around brain, tumour and prediction."""
        held = self.where | self.truth
        if self.prediction is not None:
            held = held | (self.prediction > 0)
        box = box_around(held, max(1, round(_ROOM_MM / min(self.spacing_mm))))
        optional = {
            name: None if getattr(self, name) is None else getattr(self, name)[box]
            for name in ("speed", "score", "prediction")
        }
        return ForecastCase(self.patient, self.last[box], self.truth[box], self.brain[box],
                            self.cavity[box], self.spacing_mm, **optional)  # fmt: skip


def arrival_maps(
    case: ForecastCase, size: float, *, spec: FrontSpec | None = None
) -> dict[str, ArrivalMap]:
    """Arrival maps of all baselines and of `arrival_order`, by name; `size` in mm3 (mm2)."""
    labels = np.where(case.cavity, 4, np.where(case.last, 2, 0)).astype(np.uint8)
    anywhere = np.ones(case.last.shape, bool)

    def front(order: str) -> ArrivalMap:
        return volume_arrival(labels, case.where, {}, spacing_mm=case.spacing_mm, order=order,
                              speed=case.pace, spec=spec)  # fmt: skip

    return {
        "dilation": dilation_map(case.last, anywhere, case.spacing_mm),
        "dilation_in_brain": dilation_map(case.last, case.where, case.spacing_mm),
        "heat_kernel": heat_map(case.last, case.where, case.spacing_mm, size=size),
        "fisher_kpp": fisher_kpp_map(case.last, case.pace, case.spacing_mm, size=size),
        "travel_time": front("travel"),
        "arrival_order": front("auto") if case.score is None else _fitted(case),
    }


def _fitted(case: ForecastCase) -> ArrivalMap:
    sizes = arrival_from_score(np.asarray(case.score), case.last, case.where, case.spacing_mm)
    return ArrivalMap(sizes, case.last, case.spacing_mm, "mm3" if case.last.ndim == 3 else "mm2")


def score_arrivals(case: ForecastCase, maps: Mapping[str, ArrivalMap], size: float) -> list[Row]:
    """One row a map: scores of its mask at `size` and of its ranking of voxels."""
    return [
        {"method": name, **scores_of(case, arrival.mask(size), -_finite(arrival))}
        for name, arrival in maps.items()
    ]


def score_case(case: ForecastCase, *, threshold: float = 0.5) -> list[Row]:
    """Scores of the prediction and of every baseline, one row a method and size.

    Args:
        case: with or without a prediction.
        threshold: probability from which a voxel of the prediction counts as tumour.

    Returns:
        Rows with `patient`, `method`, `size` (`own`, `true` or `forecast`), `volume` (mm3 or mm2)
        and `METRICS`; an undefined metric is None. `forecast` is the size of the prediction's mask;
        there are no such rows without a prediction or with an empty mask.
    """
    case = case.cropped()
    voxel = float(np.prod(case.spacing_mm))
    true_size = float(case.truth.sum()) * voxel
    rows: list[Row] = [{"method": "no_change", "size": "own", **scores_of(case, case.last, None)}]
    sizes = {"true": true_size}
    if case.prediction is not None:
        p = np.asarray(case.prediction, float)
        own = p >= threshold
        rows.append({"method": "prediction", "size": "own", **scores_of(case, own, p, p)})
        at_size = _highest(p, round(true_size / voxel))
        rows.append({"method": "prediction", "size": "true", **scores_of(case, at_size, p)})
        if own.any():
            sizes["forecast"] = float(own.sum()) * voxel
    for margin in BASELINE_MARGINS_MM:
        mask = uniform_margin(case.last, case.where, case.spacing_mm, margin)
        rows.append({"method": f"margin_{margin:g}mm", "size": "own",
                     **scores_of(case, mask, None)})  # fmt: skip
    for name, size in sizes.items():
        maps = arrival_maps(case, size)
        rows += [{"size": name, **row} for row in score_arrivals(case, maps, size)]
    return [{"patient": case.patient, **row} for row in rows]


def scores_of(
    case: ForecastCase,
    mask: np.ndarray,
    ranking: np.ndarray | None,
    probability: np.ndarray | None = None,
) -> Row:
    """Scores of one mask, of a ranking of voxels and of a probability map.

    Args:
        case: the two visits.
        mask: bool, the tumour on the forecast day.
        ranking: of voxels, in any range: a higher value means more likely; None for the mask.
        probability: in [0, 1]; None for the mask as 0 and 1.
    """
    p = mask.astype(float) if probability is None else probability
    order = p if ranking is None else ranking
    region = case.where & ~case.last
    spread = np.ptp(order)
    scaled = (order - order.min()) / (spread if spread > 0 else 1.0)  # only ranks matter
    return {
        "volume": float(mask.sum()) * float(np.prod(case.spacing_mm)),
        "dice": dice(mask, case.truth),
        "hd95_mm": hd95_mm(mask, case.truth, case.spacing_mm),
        "surface_dice_2mm": surface_dice(mask, case.truth, case.spacing_mm),
        "continuous_dice": continuous_dice(p, case.truth),
        "average_precision": average_precision(scaled, case.truth, region=region),
        "brier": brier(p, case.truth, region=region),
        "ece": ece(p, case.truth, region=region),
        **{name: coverage_at_volume(order, case.truth, region=region, n_voxels=count)
           for name, count in case.treated_voxels.items()},
    }  # fmt: skip


def _finite(arrival: ArrivalMap) -> np.ndarray:
    sizes = arrival.arrival
    reached = np.isfinite(sizes)
    return np.where(reached, sizes, sizes[reached].max() + arrival.voxel_size)


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` voxels with the highest values above 0, bool; ties in array order."""
    order = np.argsort(-values, axis=None, kind="stable")[: max(count, 0)]
    mask = np.zeros(values.size, bool)
    mask[order] = True
    return mask.reshape(values.shape) & (values > 0)

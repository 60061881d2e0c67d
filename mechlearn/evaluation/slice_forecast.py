"""Forecast of one slice: size forecast, generated scans, growth maps and scores."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mechlearn.evaluation.baseline_maps import baseline_maps
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.model_pair import (
    Sampler,
    flair_threshold_of,
    generate,
    target_of,
    with_noise,
)
from mechlearn.evaluation.placement import Placement, place, score
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.slice_maps import mapper
from mechlearn.evaluation.treatment_change import CourseChange, forecast_changed, what_if_row
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.growth.size_forecast import forecast
from mechlearn.metrics.size_scores import crps, interval_covers, nrmse, r_squared
from mechlearn.metrics.structural_similarity import region_ssim
from mechlearn.records import (
    AxialSlice,
    Counterfactual,
    Generation,
    GrowthMap,
    LongitudinalSlice,
    SizeForecast,
    SizeSeries,
)
from mechlearn.spatial.regions import tumour_region

__all__ = ["MapSpec", "SliceForecast", "forecast_slice"]


@dataclass(frozen=True)
class SliceForecast:
    """The forecast of one slice.

    timeline holds the visits used; follow_up is the true scan where there is one, and is not used
    for the forecast; maps by kind; placements by method; what_if is a counterfactual of the sizes
    only (maps and images are of the actual courses); row is flat; baselines are probabilities by
    method (`baseline_maps`), computed where there is a follow-up.
    """

    timeline: SizeSeries
    forecast: SizeForecast
    reference: AxialSlice
    generations: tuple[Generation, ...]
    maps: Mapping[str, GrowthMap]
    placements: Mapping[str, Placement]
    follow_up: AxialSlice | None = None
    what_if: Counterfactual | None = None
    row: Row = field(default_factory=dict)
    baselines: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def drawing(self) -> dict[str, Any]:
        """Keyword arguments of the figure of this slice."""
        return {
            "timeline": self.timeline,
            "forecast": self.forecast,
            "reference": self.reference,
            "generations": self.generations,
            "growth_map": self.growth_map,
            "follow_up": self.follow_up,
            "what_if": self.what_if,
        }

    @property
    def comparison(self) -> list[Row]:
        """One row a method: its area and, where there is a follow-up, its scores."""
        scores = self.row
        out = []
        for name, placement in self.placements.items():
            out.append({
                "method": name,
                "area_mm2": float(placement.mask.sum()) * self.reference.pixel_mm2,
                "hd95_mm": scores.get(f"hd95_{name}_mm"),
                "dice": scores.get(f"dice_{name}"),
                "brier": scores.get(f"brier_{name}"),
            })  # fmt: skip
        return out

    @property
    def growth_map(self) -> GrowthMap:
        """The dynamic map."""
        return self.maps["dynamic"]

    @property
    def median_generation(self) -> Generation:
        """The generation whose target is nearest to the median forecast."""
        wanted = self.forecast.median / self.reference.brain_area_mm2
        return min(self.generations, key=lambda g: abs(g.target.tumour_fraction - wanted))


def forecast_slice(
    sampler: Sampler,
    series: LongitudinalSlice,
    day: float,
    *,
    growth: GrowthSpec,
    maps: MapSpec,
    seed: int = 0,
    follow_up: AxialSlice | None = None,
    what_if: CourseChange | None = None,
) -> SliceForecast:
    """Forecast the size, generate scans from the last visit, compute growth maps, and score them.

    Args:
        sampler: guided sampler.
        series: the visits that may be used; the last one is the reference.
        day: the forecast day, not before the last visit.
        growth: settings of the size forecast.
        maps: settings of the growth maps.
        seed: of the sampler.
        follow_up: the true scan; used for scores and the static map only, not for the forecast.
        what_if: other courses of radiotherapy for a counterfactual forecast of the size.

    Raises:
        RefusedChangeError: the courses or the growth model do not allow `what_if`.
        ValueError: the reference slice has no tumour, `day` lies before it, or the series cannot
            be fitted.
    """
    reference = series.slices[-1]
    if not reference.tumour.any():
        raise ValueError(
            f"slice {reference.slice_id}: no tumour in the last scan, so there is no growth to "
            "forecast. Choose slices with a tumour."
        )
    if day < reference.day:
        raise ValueError(
            f"slice {series.slice_id}: forecast day {day:g} lies before the last scan (day "
            f"{reference.day:g}). Give a later day or leave this scan out."
        )
    start = time.monotonic()
    predicted = forecast(series.timeline, day, spec=growth)
    other = None
    if what_if is not None:
        other = forecast_changed(series.timeline, day, growth=growth, change=what_if)
    targets = predicted.targets(
        reference.brain_area_mm2, below_percentile=maps.below_percentile, nodes=maps.nodes
    )
    draw = mapper(sampler, reference, maps, seed)
    made = generate(sampler, reference, targets, seed=seed)
    drawn = {"dynamic": draw(made, "dynamic")}
    if follow_up is not None and maps.n_static > 0:
        drawn["static"] = _static_map(sampler, reference, follow_up, maps, seed)
    placements = place(
        reference, drawn, forecast_area_mm2=predicted.median, threshold=maps.threshold,
        true_area_mm2=None if follow_up is None else follow_up.tumour_area_mm2,
        order=sampler.spec.order,
    )  # fmt: skip
    out = SliceForecast(series.timeline, predicted, reference, tuple(made), drawn, placements,
                        follow_up, other)
    row = {
        **_forecast_row(out), **what_if_row(other), **_image_row(out),
        "seconds": time.monotonic() - start,
    }  # fmt: skip
    if follow_up is not None:
        row |= score(placements, reference, follow_up.tumour)
        out = replace(out, baselines=baseline_maps(
            reference, predicted, order=sampler.spec.order, below_percentile=maps.below_percentile,
        ))  # fmt: skip
    out.row.update(row)
    return out


def _static_map(
    sampler: Sampler, reference: AxialSlice, follow_up: AxialSlice, maps: MapSpec, seed: int
) -> GrowthMap:
    """Static map (section 3.3): one target, the true size, and new noise for each generation.

    A sampler without noise gives equal images, so it generates only one.
    """
    noisy = with_noise(sampler)
    count = 1 if noisy.spec.encode == "invert" else maps.n_static
    members = generate(noisy, reference, [target_of(reference, follow_up)] * count, seed=seed)
    return mapper(noisy, reference, maps, seed)(members, "static")


def _forecast_row(item: SliceForecast) -> Row:
    predicted, reference, truth = item.forecast, item.reference, item.follow_up
    low, high = predicted.interval()
    fitted = np.median(predicted.curves, axis=0)
    at_visits = np.interp(item.timeline.days, predicted.curve_days, fitted)
    row: Row = {
        "slice_id": item.timeline.name,
        "patient": item.timeline.patient,
        "z": reference.z,
        "day": predicted.day,
        "day_last": reference.day,
        "horizon_days": predicted.day - reference.day,
        "law": predicted.law,
        "n_visits": len(item.timeline.visits),
        "n_failed_refits": predicted.n_failed,
        "area_last_mm2": reference.tumour_area_mm2,
        "forecast_median_mm2": predicted.median,
        "forecast_low_mm2": low,
        "forecast_high_mm2": high,
        "r_squared": r_squared(at_visits, item.timeline.sizes),
    }
    if truth is not None:
        area = truth.tumour_area_mm2
        row |= {
            "area_true_mm2": area,
            "nrmse": nrmse(predicted.median, area),
            "nrmse_carry_forward": nrmse(reference.tumour_area_mm2, area),
            "crps_mm2": crps(predicted.samples, area),
            "covered": interval_covers((low, high), area),
        }
    return row


def _image_row(item: SliceForecast) -> Row:
    """Scores of the images and maps: sizes measured on FLAIR, SSIM, sizes of the maps."""
    reference = item.reference
    middle = item.median_generation
    region = tumour_region(reference.tumour, reference.brain)
    image = middle.image.numpy()
    ssim = region_ssim(image, reference.image, tumour=region, brain=reference.brain)
    mm2 = reference.brain_area_mm2
    row: Row = {
        "n_generations": len(item.generations),
        "target_mm2": middle.target.tumour_fraction * mm2,
        "generated_guide_mm2": middle.predicted_after * mm2,
        "ssim_inside": ssim.inside,
        "ssim_outside": ssim.outside,
    }
    if "t2f" in reference.contrasts:
        flair = flair_threshold_of(reference)
        row["generated_mm2"] = flair.fraction(image) * mm2
        row["measured_last_mm2"] = flair.fraction(reference.image) * mm2
    for name, grown in item.maps.items():
        row[f"n_{name}"] = grown.n_generations
        row[f"n_unchanged_{name}"] = grown.n_unchanged
        row[f"map_{name}_mm2"] = float(grown.probability.sum()) * reference.pixel_mm2
    return row

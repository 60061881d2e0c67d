"""Growth maps of the arrival map and of every baseline on one slice, from one size forecast.

    p(v) = P(size >= arrival(v))

Each method is an arrival map, so all methods use the same sizes and differ only in location.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mechlearn.checks import in_range
from mechlearn.records import ArrivalMap, AxialSlice, SizeForecast
from mechlearn.spatial.arrival_order import order_from
from mechlearn.spatial.volume_arrival import FrontSpec, image_speed
from mechlearn.spatial.volume_baselines import dilation_map, fisher_kpp_map, heat_map

__all__ = ["BASELINE_MAPS", "arrival_maps_of", "baseline_maps", "sizes_below"]

BASELINE_MAPS = ("dilation", "heat_kernel", "fisher_kpp", "travel_time", "arrival_order")


def sizes_below(forecast: SizeForecast, percentile: float) -> SizeForecast:
    """The forecast without the samples above a percentile (section 3.3: 90)."""
    in_range("below_percentile", percentile, 1.0, 100.0)
    kept = forecast.samples <= np.percentile(forecast.samples, percentile)
    return replace(
        forecast, samples=forecast.samples[kept], curves=forecast.curves[kept], parameters={}
    )


def baseline_maps(
    reference: AxialSlice,
    forecast: SizeForecast,
    *,
    order: str = "phantom",
    below_percentile: float = 90.0,
) -> dict[str, np.ndarray]:
    """Probability of tumour by method, (H, W) in [0, 1], initial tumour included.

    Args:
        reference: the last scan, with a tumour.
        forecast: of the slice's area, mm2.
        order: name of the order behind `arrival_order`, see `sampler_spec.SamplerSpec.order`.
        below_percentile: samples above this percentile are left out, for every method.
    """
    kept = sizes_below(forecast, below_percentile)
    arrivals = arrival_maps_of(reference, kept, order=order)
    return {name: arrival.growth_map(kept).probability for name, arrival in arrivals.items()}


def arrival_maps_of(
    reference: AxialSlice, forecast: SizeForecast, *, order: str = "phantom"
) -> dict[str, ArrivalMap]:
    """Arrival maps in mm2 by the names of `BASELINE_MAPS`; arguments as in `baseline_maps`.

    Dilation, heat kernel and Fisher-KPP stay in the brain. `arrival_order` is the order that
    samplers use, by default the one fitted to phantoms. `arrival_order` and `travel_time` are
    computed in 3D and cut at the slice where the slice has its surroundings, otherwise in 2D.
    """
    brain, spacing = reference.brain, reference.spacing_mm
    present = reference.tumour & brain
    largest = min(float(np.max(forecast.samples)), reference.brain_area_mm2)
    middle = max(forecast.median, reference.pixel_mm2)
    images = dict(zip(reference.contrasts, reference.image, strict=True))
    speed = image_speed(images, brain, present, spacing_mm=spacing, spec=FrontSpec())

    def joined(name: str) -> ArrivalMap:
        area = order_from(name, reference).astype(float) * reference.brain_area_mm2
        return ArrivalMap(area, present, spacing, "mm2")

    return {
        "dilation": dilation_map(present, brain, spacing),
        "heat_kernel": heat_map(present, brain, spacing, size=middle),
        "fisher_kpp": fisher_kpp_map(present, speed, spacing, size=largest),
        "travel_time": joined("travel"),
        "arrival_order": joined(order),
    }

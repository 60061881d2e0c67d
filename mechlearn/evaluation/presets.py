"""Named settings of the recipes in Python: `conf/sampler`, `conf/growth`, growth maps.

A test compares them with the recipes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.growth.growth_spec import LEARNED, POOLED, GrowthSpec
from mechlearn.growth.models import GROWTH_MODELS

__all__ = ["GROWTH", "MAPS", "SAMPLERS", "as_baseline"]

SAMPLERS: Mapping[str, SamplerSpec] = {
    "paper": SamplerSpec(),
    "fast": SamplerSpec(steps=25, solver="dpmpp_2m", invert_iterations=2, smooth_px=1.5),
    "labels": SamplerSpec(steps=10, guidance="labels"),
}  # fmt: skip
GROWTH: Mapping[str, GrowthSpec] = {
    **{name: GrowthSpec(law=name) for name in GROWTH_MODELS},
    POOLED: GrowthSpec(law=POOLED, population="phantom"),  # packaged, from simulated tumours
    LEARNED: GrowthSpec(law=LEARNED, population="glioma"),  # packaged, from MU-Glioma-Post
}
MAPS: Mapping[str, MapSpec] = {
    "paper": MapSpec(),  # one generation for each bootstrap sample
    "forecast": MapSpec(nodes=15, n_static=0),  # odd, so that one quantile is the median
}


def as_baseline(name: str, spec: GrowthSpec) -> GrowthSpec:
    """Settings of a baseline: one growth model, fitted as in the paper without a population prior,
    from two visits on; with fewer visits carry_forward.

    Args:
        name: growth model.
        spec: gives noise, bootstrap and seed.
    """
    return replace(
        spec, law=name, population=None, bounds={}, min_visits=2, fallback="carry_forward",
        survival="fraction", fixed={}, tied={},
    )  # fmt: skip

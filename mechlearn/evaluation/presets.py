"""Named settings of the recipes as plain Python: `conf/sampler`, `conf/growth`, growth maps.

A test holds the recipes and these equal.
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
    "labels": SamplerSpec(steps=10, guidance="labels", encode="noise"),
}  # fmt: skip
GROWTH: Mapping[str, GrowthSpec] = {
    **{name: GrowthSpec(law=name) for name in GROWTH_MODELS},
    POOLED: GrowthSpec(law=POOLED, population="phantom"),  # packaged, from simulated tumours
    LEARNED: GrowthSpec(law=LEARNED, population="glioma"),  # packaged, from MU-Glioma-Post
}
MAPS: Mapping[str, MapSpec] = {
    "paper": MapSpec(),  # one generation a bootstrap sample
    "forecast": MapSpec(nodes=15, n_static=0),  # odd, so that one node is the median
}


def as_baseline(name: str, spec: GrowthSpec) -> GrowthSpec:
    """One growth model fitted the paper's way: no population, its own bounds, from two visits on;
    with fewer the last size is carried forward.

    Args:
        name: growth model.
        spec: keeps its noise, bootstrap and seed.
    """
    return replace(
        spec, law=name, population=None, bounds={}, min_visits=2, fallback="carry_forward",
        survival="fraction", fixed={}, tied={},
    )  # fmt: skip

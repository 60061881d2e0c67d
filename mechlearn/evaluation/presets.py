"""Named settings of the recipes as plain Python: `conf/sampler/*.yaml`, growth maps of commands.

A test holds the recipes and these equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.map_spec import MapSpec

__all__ = ["MAPS", "SAMPLERS"]

SAMPLERS: Mapping[str, SamplerSpec] = {
    "paper": SamplerSpec(),
    "fast": SamplerSpec(steps=25, solver="dpmpp_2m", invert_iterations=2, smooth_px=1.5),
    "placed": SamplerSpec(
        steps=18, spacing="logsnr", guide_above=10, invert_iterations=0, anchor=True,
        guidance="placed", smooth_px=0.4,
    ),
    "labels": SamplerSpec(
        steps=10, guidance="labels", anchor=True, encode="noise",
    ),
}  # fmt: skip
MAPS: Mapping[str, MapSpec] = {
    "paper": MapSpec(),  # one generation a bootstrap sample
    "forecast": MapSpec(nodes=15, n_static=0),  # odd, so that one node is the median
}

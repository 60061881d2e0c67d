"""Settings of growth maps from generations."""

from __future__ import annotations

from dataclasses import dataclass

from mechlearn.checks import in_range, one_of

__all__ = ["MapSpec"]


@dataclass
class MapSpec:
    """Settings of growth maps from generations.

    Attributes:
        nodes: None for one generation for each bootstrap sample (the paper); k for k quantiles.
        below_percentile: samples above this percentile are left out (section 3.3: 90).
        n_static: generations of the static map, 0 for no static map; with a deterministic encoding
            all would be equal, so only one is generated.
        threshold: probability from which a pixel counts as grown.
        source: mask of a generation: `otsu` (of the difference, section 3.3), or `mask`, the tumour
            segmented in the generation.
        floor: least change of a pixel; None: the change by sampling without guidance, at least the
            default of `spatial.otsu_map`. 0 is Otsu without a floor, as in the paper.
        median_px: width of a median filter of the change; 1 for no filter, as in the paper. 3
            removes noise, but also rims of one or two pixels.
    """

    nodes: int | None = None
    below_percentile: float = 90.0
    n_static: int = 20
    threshold: float = 0.5
    source: str = "otsu"
    floor: float | None = None
    median_px: int = 1

    def __post_init__(self) -> None:
        if self.nodes is not None:
            in_range("maps.nodes", self.nodes, 1, 1_000_000)
        in_range("maps.below_percentile", self.below_percentile, 1.0, 100.0)
        in_range("maps.n_static", self.n_static, 0, 1_000_000)
        in_range("maps.threshold", self.threshold, 0.0, 1.0)
        one_of("maps.source", self.source, ("otsu", "mask"))
        in_range("maps.median_px", self.median_px, 1, 99)
        if self.floor is not None:
            in_range("maps.floor", self.floor, 0.0, 100.0)

"""How growth maps of drawn slices are made and cut."""

from __future__ import annotations

from dataclasses import dataclass

from mechlearn.checks import in_range, one_of

__all__ = ["MapSpec"]


@dataclass
class MapSpec:
    """How a growth map is made and cut.

    Attributes:
        nodes: None for one generation a bootstrap sample (the paper); k for k quantile nodes.
        below_percentile: samples above it are left out (section 3.3: 90).
        n_static: generations of the static map, 0 for none; a deterministic encoding makes equal
            ones, so that one is drawn.
        threshold: probability from which a pixel counts as grown.
        source: what a generation votes by: `otsu` (of the difference, section 3.3) or `mask`, the
            outline of the tumour measured in it.
        floor: change below which a pixel never counts; None takes what sampling changes without
            guidance, and at least the default of `spatial.otsu_map`. 0 is the paper's bare Otsu.
        median_px: width of a median filter over the change before it is binarised; 1 for none, as
            in the paper. 3 takes noise away, and rims of one or two pixels with it.
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

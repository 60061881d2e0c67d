"""How growth maps are made: one spec, one floor for all maps of a slice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mechlearn.checks import in_range, one_of
from mechlearn.evaluation.model_pair import Sampler, meter_of, unguided
from mechlearn.records import AxialSlice, Generation, GrowthMap
from mechlearn.spatial.otsu_map import DEFAULT_FLOOR, ChangeFloor, change_floor, growth_map

__all__ = ["MapSpec", "mapper"]

Kind = Literal["dynamic", "static"]
Mapper = Callable[[Sequence[Generation], Kind], GrowthMap]


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


def mapper(sampler: Sampler, reference: AxialSlice, maps: MapSpec, seed: int) -> Mapper:
    """Growth maps over one slice, all with one floor; `mask` needs none."""
    meter = meter_of(reference) if maps.source == "mask" else None
    floor: ChangeFloor | float | None = maps.floor
    if floor is None and meter is None:
        floor = _measured_floor(sampler, reference, maps, seed)

    def draw(made: Sequence[Generation], kind: Kind) -> GrowthMap:
        return growth_map(
            reference.image, made, brain=reference.brain, kind=kind, floor=floor, meter=meter,
            spacing_mm=reference.spacing_mm, median_px=maps.median_px, source=maps.source,
        )  # fmt: skip

    return draw


def _measured_floor(
    sampler: Sampler, reference: AxialSlice, maps: MapSpec, seed: int
) -> ChangeFloor:
    """What sampling changes without guidance, at least the default floor."""
    if sampler.spec.anchor:  # it then returns the scan: nothing to sample for
        return DEFAULT_FLOOR
    still = unguided(sampler, reference, seed=seed)
    seen = change_floor(reference.image, still, brain=reference.brain, median_px=maps.median_px)
    return ChangeFloor(
        max(seen.pixel, DEFAULT_FLOOR.pixel), max(seen.peak, DEFAULT_FLOOR.peak)
    )

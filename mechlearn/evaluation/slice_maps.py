"""Growth maps of a slice from its generations, with one floor for all maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.model_pair import Sampler, flair_threshold_of, unguided
from mechlearn.records import AxialSlice, Generation, GrowthMap
from mechlearn.spatial.otsu_map import DEFAULT_FLOOR, ChangeFloor, change_floor, growth_map

__all__ = ["mapper"]

Kind = Literal["dynamic", "static"]
Mapper = Callable[[Sequence[Generation], Kind], GrowthMap]


def mapper(sampler: Sampler, reference: AxialSlice, maps: MapSpec, seed: int) -> Mapper:
    """A function that computes growth maps of one slice, all with the same floor (`maps.source`
    "mask" needs no floor)."""
    flair = flair_threshold_of(reference) if maps.source == "mask" else None
    floor: ChangeFloor | float | None = maps.floor
    if floor is None and flair is None:
        floor = _measured_floor(sampler, reference, maps, seed)

    def draw(made: Sequence[Generation], kind: Kind) -> GrowthMap:
        return growth_map(
            reference.image, made, brain=reference.brain, kind=kind, floor=floor, flair=flair,
            spacing_mm=reference.spacing_mm, median_px=maps.median_px, source=maps.source,
        )  # fmt: skip

    return draw


def _measured_floor(
    sampler: Sampler, reference: AxialSlice, maps: MapSpec, seed: int
) -> ChangeFloor:
    """What sampling changes without guidance, at least the default floor."""
    if sampler.spec.anchor or sampler.spec.guidance == "labels":  # it then returns the scan
        return DEFAULT_FLOOR
    still = unguided(sampler, reference, seed=seed)
    seen = change_floor(reference.image, still, brain=reference.brain, median_px=maps.median_px)
    return ChangeFloor(
        max(seen.pixel, DEFAULT_FLOOR.pixel), max(seen.peak, DEFAULT_FLOOR.peak)
    )

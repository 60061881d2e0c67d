"""One axial slice followed over the visits."""

from __future__ import annotations

from dataclasses import dataclass

from mechlearn.records.images import AxialSlice
from mechlearn.records.patient import Radiotherapy
from mechlearn.records.sizes import SizeReading, SizeSeries

__all__ = ["LongitudinalSlice"]


@dataclass(frozen=True)
class LongitudinalSlice:
    """The same axial slice over the visits, co-registered: one AxialSlice a visit, by day."""

    slices: tuple[AxialSlice, ...]
    courses: tuple[Radiotherapy, ...] = ()

    def __post_init__(self) -> None:
        if len({(s.patient, s.z) for s in self.slices}) != 1:
            raise ValueError("a LongitudinalSlice holds one z of one patient, at least one visit.")

    @property
    def patient(self) -> str:
        return self.slices[0].patient

    @property
    def slice_id(self) -> str:
        return f"{self.patient}/z{self.slices[0].z:03d}"

    @property
    def timeline(self) -> SizeSeries:
        visits = tuple(SizeReading(s.day, s.tumour_area_mm2, s.session) for s in self.slices)
        return SizeSeries(self.slice_id, self.patient, visits, self.courses)

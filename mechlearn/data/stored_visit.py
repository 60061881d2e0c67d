"""One visit of the slice store, and one line of its index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mechlearn.checks import one_of
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.model_grid import GridPlacement
from mechlearn.data.slices import NAME, SliceFile
from mechlearn.files import read_json
from mechlearn.spatial.intensity import IntensityScale

__all__ = ["SliceRow", "StoredVisit", "check_registered"]

SAME_PLACE_MM = 0.1  # corners of co-registered volumes may differ by this much


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One line of the index: where a slice is and how much brain and tumour it holds."""

    patient: str
    session: str
    day: float | None
    z: int  # canonical, from inferior to superior
    row: int  # in the arrays of its visit
    brain_area_mm2: float
    tumour_fraction: float
    present: tuple[bool, ...] = ()  # of each contrast: False where the visit lacks it

    @property
    def tumour_area_mm2(self) -> float:
        return self.tumour_fraction * self.brain_area_mm2


@dataclass(frozen=True, eq=False)
class StoredVisit:
    """One visit of the store with all that brings results back to its NIfTI files.

    `contrasts` are the channels of its images, `stored` those of its file. `intensity` knows the
    contrasts that the visit really has; the others are background everywhere.
    """

    folder: Path
    record: VisitRecord
    contrasts: tuple[str, ...]
    stored: tuple[str, ...]
    placement: GridPlacement
    intensity: IntensityScale
    zs: tuple[int, ...]
    brain_px: tuple[int, ...]
    tumour_px: tuple[int, ...]

    @property
    def patient(self) -> str:
        return self.record.patient

    @property
    def session(self) -> str:
        return self.record.session

    @property
    def day(self) -> float | None:
        return self.record.day

    @property
    def pixel_mm2(self) -> float:
        return self.placement.grid.pixel_mm**2

    @property
    def present(self) -> tuple[bool, ...]:
        """Of each contrast: does the visit have it?"""
        return tuple(c in self.intensity.contrasts for c in self.contrasts)

    @property
    def channels(self) -> list[int] | None:
        """Places of `contrasts` in the visit's file; None for all of it as it stands."""
        if self.contrasts == self.stored:
            return None
        return [self.stored.index(c) for c in self.contrasts]

    def select(self, contrasts: Sequence[str]) -> StoredVisit:
        """The same visit with these contrasts, in this order."""
        there = [c for c in contrasts if c in self.intensity.contrasts]
        return replace(self, contrasts=tuple(contrasts), intensity=self.intensity.select(there))

    def row_of(self, z: int) -> int:
        """Array row of slice z; KeyError with the range if it is not stored."""
        if z not in self.zs:
            raise KeyError(
                f"{self.record.name}: slice z={z} is not in the store (it has {len(self.zs)} "
                f"slices, z {self.zs[0]} to {self.zs[-1]}). Lower min_brain_mm2 to keep more."
            )
        return self.zs.index(z)

    def tumour_area_mm2(self, z: int) -> float:
        """Tumour area of slice z."""
        return self.tumour_px[self.row_of(z)] * self.pixel_mm2

    def array(self, name: str) -> np.ndarray:
        """All of `images` (S, C, H, W) float16, `labels` uint8 or `brain` bool (S, H, W)."""
        one_of("array", name, ("images", "labels", "brain"))
        file = SliceFile(self.folder / NAME)
        if name == "images":
            images = np.empty((file.count, len(self.contrasts), *file.shape), np.float16)
            for row, image in enumerate(images):
                file.image(row, image, self.channels)
            return images
        masks = np.empty((file.count, *file.shape), np.uint16)
        for row, mask in enumerate(masks):
            file.masks(row, mask)
        return file.unpack(masks)[("labels", "brain").index(name)]

    def rows(self) -> list[SliceRow]:
        """Index rows of the stored slices, from inferior to superior."""
        present = self.present
        counts = zip(self.zs, self.brain_px, self.tumour_px, strict=True)
        return [
            SliceRow(
                self.patient, self.session, self.day, z, row,
                brain * self.pixel_mm2, tumour / max(brain, 1), present,
            )
            for row, (z, brain, tumour) in enumerate(counts)
        ]  # fmt: skip

    @classmethod
    def open(cls, folder: Path) -> StoredVisit:
        """Read visit.json of a visit's folder.

        Raises:
            ValueError: a damaged or foreign visit.json; it names the file.
        """
        path = folder / "visit.json"
        card = read_json(path, digest=True)
        try:
            index = card["slices"]
            return cls(
                folder=folder,
                record=VisitRecord.from_dict(card["record"]),
                contrasts=tuple(card["contrasts"]),
                stored=tuple(card["contrasts"]),
                placement=GridPlacement.from_dict(card["grid"]),
                intensity=IntensityScale.from_dict(card["intensity"]),
                zs=tuple(index["z"]),
                brain_px=tuple(index["brain_px"]),
                tumour_px=tuple(index["tumour_px"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: describes no visit ({type(error).__name__}: {error}). Remove its folder "
                "and prepare again."
            ) from error


def check_registered(visits: Sequence[StoredVisit]) -> None:
    """ValueError unless all visits lie on the first one's voxel grid."""
    first = visits[0].placement
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], float)
    for visit in visits[1:]:
        other = visit.placement
        corners[:, :3] = (corners[:, :3] > 0) * max(first.shape)
        apart = np.abs((first.affine - other.affine) @ corners.T).max()
        if first.shape != other.shape or apart > SAME_PLACE_MM:
            raise ValueError(
                f"{visit.patient}: session {visit.session} lies on another voxel grid than "
                f"{visits[0].session} (shapes {other.shape} and {first.shape}, {apart:.1f} mm "
                "apart); slices of different visits would not match. Co-register the visits."
            )
        if first.offset != other.offset:
            raise ValueError(
                f"{visit.patient}: session {visit.session} was prepared without "
                f"{visits[0].session} and is cropped elsewhere (by {other.offset} and "
                f"{first.offset} voxels); pixels of different visits would not match. Prepare all "
                "visits of a patient with one command."
            )

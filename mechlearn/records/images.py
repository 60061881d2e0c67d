"""Images of one axial slice on the model's grid, guidance targets and generations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mechlearn.checks import in_range, positive, same_shape

if TYPE_CHECKING:
    import torch

__all__ = ["CONTRASTS", "AxialSlice", "Generation", "GuidanceTarget", "Surroundings"]

CONTRASTS = ("t1n", "t1c", "t2w", "t2f")


@dataclass(frozen=True)
class GuidanceTarget:
    """Target of the guidance: tumour area / brain area, with its weight in a growth map."""

    tumour_fraction: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        in_range("target.tumour_fraction", self.tumour_fraction, 0.0, 1.0,
                 remedy="It is tumour area over brain area of the slice.")
        positive("target.weight", self.weight)


@dataclass(frozen=True)
class Surroundings:
    """3D information about one slice, computed from the whole volume.

    distance_mm (H, W): distance to the tumour's surface in 3D, negative inside, at most 30;
    travel_mm (H, W): travel time of a front through the tissue, in mm of white matter, 0 in the
    tumour, at most 80 (`spatial.travel`); score (H, W): section of the order fitted in 3D, a higher
    score means a later arrival (`spatial.fitted_order`), None where a contrast is missing.
    """

    distance_mm: np.ndarray
    travel_mm: np.ndarray
    score: np.ndarray | None = None


@dataclass(frozen=True)
class AxialSlice:
    """One prepared axial slice of one visit, on the model's grid.

    image (C, H, W) float32 in [-1, 1], background exactly -1; labels (H, W) uint8, canonical
    (0 none, 1 necrotic / non-enhancing core, 2 oedema, 3 enhancing, 4 resection cavity);
    brain (H, W) bool; spacing_mm (row, column). `surroundings` is None unless it was requested
    (`SliceStore.read`) and the visit has a tumour.
    """

    patient: str
    session: str
    day: float
    z: int  # slice index in the source volume
    image: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    spacing_mm: tuple[float, float]
    contrasts: tuple[str, ...] = CONTRASTS
    surroundings: Surroundings | None = None

    def __post_init__(self) -> None:
        same_shape("labels", self.labels, "brain", self.brain)
        expected = (len(self.contrasts), *self.brain.shape)
        if self.image.shape != expected:
            raise ValueError(
                f"slice {self.slice_id}: image has shape {self.image.shape}; must be {expected}."
            )

    @property
    def slice_id(self) -> str:
        return f"{self.patient}/{self.session}/z{self.z:03d}"

    @property
    def tumour(self) -> np.ndarray:
        """Whole tumour, (H, W) bool: every label but a resection cavity."""
        return (self.labels > 0) & (self.labels != 4)

    @property
    def pixel_mm2(self) -> float:
        return self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def brain_area_mm2(self) -> float:
        return float(self.brain.sum()) * self.pixel_mm2

    @property
    def tumour_area_mm2(self) -> float:
        return float(self.tumour.sum()) * self.pixel_mm2

    @property
    def tumour_fraction(self) -> float:
        return float(self.tumour.sum()) / max(float(self.brain.sum()), 1.0)


@dataclass(frozen=True)
class Generation:
    """One guided sample. image (C, H, W) in [-1, 1]; fractions are the guide's predictions."""

    image: torch.Tensor
    target: GuidanceTarget
    predicted_before: float  # R(x0) of the reference image
    predicted_after: float  # R of the generated image
    noise_level: int
    scale: float  # as given, on the paper's scale
    effective_scale: float  # after the factors for pixel size and the guide's gain
    seed: int

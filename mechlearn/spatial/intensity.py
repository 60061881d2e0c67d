"""Intensity scaling: percentiles of the brain voxels of every volume and contrast to [-1, 1].

MRI intensities have no unit: one scanner stores 0..900, another 0..32767. Each contrast of each
volume is mapped linearly so that two percentiles of its brain voxels become -1 and 1; values beyond
are clipped, and background is exactly -1. The two intensities are stored with the data, so that
results can be converted back to source units.

The default percentiles are 0.5 and 99.9. On six BraTS 2021 cases the usual 99.5 clips up to 11% of
the tumour in FLAIR and most of a small enhancing part (61% in T1c, 80% in FLAIR). At 99.9 it clips
at most 2%; the contrast between normal tissues is then lower by a fifth. At the low end there is
only air at the brain's edge, so 0.5 is robust.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mechlearn.spatial.percentiles import DEFAULT_PERCENTILES, check_percentiles

__all__ = ["BACKGROUND", "IntensityScale", "brain_mask"]

BACKGROUND = -1.0


def brain_mask(volumes: np.ndarray) -> np.ndarray:
    """Brain voxels of skull-stripped volumes: any contrast non-zero, with holes filled.

    Args:
        volumes: (C, Z, H, W), background 0 in every contrast. Negative values are brain as well.

    Returns:
        (Z, H, W) bool. Holes are filled in 3D, because filling in 2D closes the gaps between
        temporal lobes and brain stem.

    Raises:
        ValueError: no voxel or nearly every voxel is non-zero (not skull-stripped, or the
            background is not 0).
    """
    mask: np.ndarray = np.zeros(volumes.shape[1:], bool)
    for volume in volumes:
        mask |= (volume != 0) & np.isfinite(volume)
    share = float(mask.mean())
    if share == 0.0:
        raise ValueError("all voxels of all contrasts are 0: there is no brain. Check the files.")
    if share > 0.9:
        raise ValueError(
            f"{share:.0%} of the voxels are non-zero; a skull-stripped scan has background 0. "
            "Strip the skull and set the background to 0."
        )
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    mask[box] = ndimage.binary_fill_holes(mask[box])
    return mask


@dataclass(frozen=True)
class IntensityScale:
    """Source intensities `low` and `high` of each contrast, mapped to -1 and 1."""

    contrasts: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    percentiles: tuple[float, float] = DEFAULT_PERCENTILES

    def __post_init__(self) -> None:
        if not len(self.contrasts) == len(self.low) == len(self.high):
            raise ValueError(
                f"intensity scale: {len(self.contrasts)} contrasts, {len(self.low)} low and "
                f"{len(self.high)} high values; the numbers must be equal."
            )
        for name, low, high in zip(self.contrasts, self.low, self.high, strict=True):
            if not low < high:
                raise ValueError(
                    f"contrast {name}: brain voxels range from {low:g} to {high:g} between "
                    f"percentiles {self.percentiles}; a constant contrast cannot be scaled. "
                    "Check the file or leave the contrast out."
                )

    @classmethod
    def fit(
        cls,
        volumes: np.ndarray,
        brain: np.ndarray,
        *,
        contrasts: Sequence[str],
        percentiles: Sequence[float] = DEFAULT_PERCENTILES,
    ) -> IntensityScale:
        """Percentiles of the brain voxels of each contrast.

        Args:
            volumes: (C, ...) source intensities.
            brain: (...) bool.
            contrasts: C names.
            percentiles: low and high, in percent.

        Raises:
            ValueError: empty brain, a contrast with values that are not finite (anywhere), or
                constant.
        """
        pair = check_percentiles(percentiles)
        if not brain.any():
            raise ValueError("intensity scale: the brain mask is empty.")
        low, high = [], []
        for name, volume in zip(contrasts, volumes, strict=True):
            finite = np.isfinite(volume)
            if not finite.all():
                raise ValueError(
                    f"contrast {name}: {int((~finite).sum())} voxels are NaN or infinite. "
                    "Correct the file."
                )
            values = volume[brain]
            a, b = np.percentile(values, pair)
            low.append(float(a))
            high.append(float(b))
        return cls(tuple(contrasts), tuple(low), tuple(high), pair)

    def apply(self, volumes: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """Source intensities (C, ...) -> float32 in [-1, 1], exactly -1 outside `brain`."""
        low, span = self._columns(volumes.ndim)
        scaled = volumes.astype(np.float32)
        scaled -= low
        scaled *= 2.0 / span
        scaled -= 1.0
        np.clip(scaled, -1.0, 1.0, out=scaled)
        scaled[:, ~brain] = BACKGROUND
        return scaled

    def invert(self, images: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """[-1, 1] images (C, ...) -> source intensities float32, 0 outside `brain`.

        Voxels that `apply` clipped get the intensity of the percentile.
        """
        low, span = self._columns(images.ndim)
        source = images.astype(np.float32)
        source += 1.0
        source *= 0.5 * span
        source += low
        source[:, ~brain] = 0.0
        return source

    def _columns(self, ndim: int) -> tuple[np.ndarray, np.ndarray]:
        shape = (-1,) + (1,) * (ndim - 1)
        low = np.asarray(self.low, np.float32).reshape(shape)
        return low, np.asarray(self.high, np.float32).reshape(shape) - low

    def select(self, contrasts: Sequence[str]) -> IntensityScale:
        """The same scale for some of the contrasts, in the order given."""
        at = [self.contrasts.index(c) for c in contrasts]
        return IntensityScale(
            tuple(contrasts),
            tuple(self.low[i] for i in at),
            tuple(self.high[i] for i in at),
            self.percentiles,
        )

    def as_dict(self) -> dict[str, Any]:
        """Builtin values, for JSON and checkpoints."""
        ranges = {c: [a, b] for c, a, b in zip(self.contrasts, self.low, self.high, strict=True)}
        return {"percentiles": list(self.percentiles), "ranges": ranges}

    @classmethod
    def from_dict(cls, card: Mapping[str, Any]) -> IntensityScale:
        """Inverse of `as_dict`."""
        ranges = card["ranges"]
        low, high = card["percentiles"]
        return cls(
            tuple(ranges),
            tuple(float(r[0]) for r in ranges.values()),
            tuple(float(r[1]) for r in ranges.values()),
            (float(low), float(high)),
        )

"""Arrival maps (the size at which a tumour reaches each voxel) and growth probability maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mechlearn.checks import finite, in_range, one_of, positive, same_shape
from mechlearn.records.sizes import UNITS, SizeForecast

__all__ = ["ArrivalMap", "GrowthMap", "PlaceSpread"]

_GRID = 1024  # arrival sizes at which a smooth growth map is computed before it is interpolated


@dataclass(frozen=True)
class PlaceSpread:
    """Uncertainty of an arrival map, estimated from pairs of visits of other patients.

        P(v is tumour | size s) = 1 / (1 + exp((u - shift) / scale)),    u = log(arrival(v) / s)

    `scale` is `inner` for u < shift and `outer` otherwise. A perfect arrival map has shift 0 and
    scales 0: a step at arrival(v) = s.

    Attributes:
        shift, inner, outer: natural logarithms of size ratios.
    """

    shift: float
    inner: float
    outer: float

    def __post_init__(self) -> None:
        finite("PlaceSpread.shift", self.shift)
        positive("PlaceSpread.inner", self.inner)
        positive("PlaceSpread.outer", self.outer)

    def probability(self, log_ratio: np.ndarray) -> np.ndarray:
        """P(tumour) at u = log(arrival / size), any shape."""
        off = np.asarray(log_ratio, float) - self.shift
        scaled = off / np.where(off < 0, self.inner, self.outer)
        return np.asarray(1 / (1 + np.exp(np.clip(scaled, -60, 60))))


@dataclass(frozen=True)
class ArrivalMap:
    """Size of the tumour when it reaches each voxel: thresholds give nested masks of all sizes.

        mask(size) = {v : arrival(v) <= size}
        p(v) = P(size(day) >= arrival(v))

    Attributes:
        arrival: (Z, Y, X) or (H, W) float, in `unit`; inf where the tumour never arrives (outside
            the brain). Inside the present tumour it is at most the present size: voxels that a
            shrinking tumour leaves first have the largest values.
        present: the present tumour, bool of the same shape.
        spacing_mm: voxel size along each axis of `arrival`.
        unit: mm3 of a volume, mm2 of a slice.
        spread: uncertainty of the arrival map; None for no uncertainty.
        closed: bool, same shape: tissue where `spread` is not applied (CSF, falx, tentorium); None
            for no such tissue.

    Raises:
        ValueError: shapes differ; NaN among the arrival sizes.

    Example:
        >>> import numpy as np
        >>> present = np.array([[True, False, False]])
        >>> arrival = ArrivalMap(np.array([[1.0, 2.0, 3.0]]), present, (1.0, 1.0), "mm2")
        >>> arrival.mask(2.0).tolist()
        [[True, True, False]]
    """

    arrival: np.ndarray
    present: np.ndarray
    spacing_mm: tuple[float, ...]
    unit: str = "mm3"
    spread: PlaceSpread | None = None
    closed: np.ndarray | None = None

    def __post_init__(self) -> None:
        same_shape("arrival", self.arrival, "present", self.present)
        if self.closed is not None:
            same_shape("closed", self.closed, "present", self.present)
        one_of("arrival map unit", self.unit, UNITS)
        for side in self.spacing_mm:
            positive("arrival map spacing_mm", side)
        if len(self.spacing_mm) != self.arrival.ndim:
            raise ValueError(
                f"arrival map: {len(self.spacing_mm)} voxel sides for {self.arrival.ndim} axes."
            )
        if np.isnan(self.arrival).any():
            raise ValueError("arrival map: NaN; use inf where the tumour never arrives.")

    @property
    def voxel_size(self) -> float:
        """Size of one voxel in `unit`."""
        return float(np.prod(self.spacing_mm))

    @property
    def present_size(self) -> float:
        """Size of the present tumour in `unit`."""
        return float(self.present.sum()) * self.voxel_size

    def mask(self, size: float) -> np.ndarray:
        """The tumour at a size, bool, same shape: all voxels that it reaches at this size."""
        return np.asarray(self.arrival <= size)

    def growth_map(self, forecast: SizeForecast) -> GrowthMap:
        """Growth map of a size forecast in the same unit.

        Without `spread` p(v) = P(size >= arrival(v)) exactly. With it, p(v) is the mean of
        `PlaceSpread.probability` over the forecast sizes. Probability that the spread would add in
        `closed` is moved to the tissue at the front, so that the expected size does not change.

        Raises:
            ValueError: the forecast is in another unit.
        """
        one_of("size forecast unit", forecast.unit, (self.unit,),
               remedy="Forecast the size in the unit of the arrival map.")  # fmt: skip
        kind: Literal["exact", "spread"] = "exact" if self.spread is None else "spread"
        if self.spread is None:
            probability = forecast.survival(self.arrival)
        else:
            probability = self._spread_over(self.spread, forecast)
        return GrowthMap(probability, kind, len(forecast.samples), self.spacing_mm)

    def _spread_over(self, spread: PlaceSpread, forecast: SizeForecast) -> np.ndarray:
        """Mean probability over sizes: a smooth function of log(arrival), from a fine grid."""
        out = np.zeros(self.arrival.shape, np.float32)
        reached = np.isfinite(self.arrival)
        if not reached.any():
            return out
        sizes = np.asarray(forecast.samples, float)
        log_arrival = np.log(self.arrival[reached].astype(np.float32))
        grid = np.linspace(float(log_arrival.min()), float(log_arrival.max()), _GRID)
        known = np.log(np.maximum(sizes, self.voxel_size))
        mean = spread.probability(grid[:, None] - known[None, :])[:, sizes > 0].sum(1) / len(sizes)
        smooth = np.interp(log_arrival, grid, mean)
        if self.closed is not None and (closed := self.closed[reached]).any():
            exact = forecast.survival(self.arrival[reached][closed])
            wanted = float(smooth.sum() - exact.sum())
            shift = _shift(log_arrival[~closed], grid, mean, wanted)
            smooth[~closed] = np.interp(log_arrival[~closed] - shift, grid, mean)
            smooth[closed] = exact
        out[reached] = smooth
        return out


def _shift(values: np.ndarray, grid: np.ndarray, mean: np.ndarray, wanted: float) -> float:
    """Shift of log(arrival), 0 to 1, with which the probabilities sum to `wanted` (bisection)."""
    step = grid[1] - grid[0] if grid[1] > grid[0] else 1.0
    at = np.round((values - grid[0]) / step).astype(int)
    count = np.bincount(np.clip(at, 0, grid.size - 1), minlength=grid.size)
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        short = count @ np.interp(grid - middle, grid, mean) < wanted
        low, high = (middle, high) if short else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class GrowthMap:
    """Growth probability, (H, W) or (Z, Y, X) in [0, 1], 0 outside the brain.

    `exact`: from a size forecast and an arrival map; `spread`: the same with the uncertainty of the
    arrival map. `dynamic` and `static`: share of the generations that change a pixel, over forecast
    targets or over seeds with one target (section 3.3).
    """

    probability: np.ndarray
    kind: Literal["dynamic", "static", "exact", "spread"]
    n_generations: int
    spacing_mm: tuple[float, ...]
    n_unchanged: int = 0  # generations with a change below the floor

    def __post_init__(self) -> None:
        low, high = float(self.probability.min()), float(self.probability.max())
        in_range("growth map minimum", low, 0.0, 1.0)
        in_range("growth map maximum", high, 0.0, 1.0 + 1e-6)

    def mask(self, threshold: float = 0.5, *, initial: np.ndarray | None = None) -> np.ndarray:
        """Pixels with probability >= threshold, bool; with `initial` their union."""
        grown = self.probability >= threshold
        return grown if initial is None else grown | initial

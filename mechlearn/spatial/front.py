"""Travel time of a tumour's front by fast marching, in 2D or 3D.

    |grad T| = 1 / v(x),    T = 0 on the edge of the source

The eikonal equation is solved by scikit-fmm (fast marching of second order). A factor on the speed
along an axis is implemented by dividing the voxel size along this axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skfmm

from mechlearn.checks import positive, same_shape

__all__ = ["front_time_mm"]

CLOSED = 1e-3  # no front passes through voxels with this speed or less


def front_time_mm(
    speed: np.ndarray,
    source: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    axis_speed: Sequence[float] | None = None,
) -> np.ndarray:
    """Time from the edge of a source to every voxel, in mm of tissue of speed 1.

    Args:
        speed: (H, W) or (Z, H, W), relative speed of the front; at or below 0.001 no front passes.
        source: bool of the same shape; its voxels have time 0 and speed 1.
        spacing_mm: voxel size along each axis.
        axis_speed: factor on the speed along each axis; None for 1.

    Returns:
        float32 of the same shape: 0 in the source, inf where the front never arrives.

    Raises:
        ValueError: shapes differ; a number of axes other than that of `spacing_mm`.

    Example:
        >>> import numpy as np
        >>> source = np.zeros((1, 9), bool)
        >>> source[0, 0] = True
        >>> front_time_mm(np.ones((1, 9)), source, (1.0, 1.0))[0, 8].round(1)
        np.float32(7.5)
    """
    source = np.asarray(source, bool)
    same_shape("speed", np.asarray(speed), "source", source)
    factors = [1.0] * source.ndim if axis_speed is None else list(axis_speed)
    if not len(spacing_mm) == len(factors) == source.ndim:
        raise ValueError(
            f"spacing_mm={tuple(spacing_mm)}, axis_speed={tuple(factors)}: give one number for "
            f"each of the {source.ndim} axes."
        )
    if source.all() or not source.any():
        return np.where(source, 0.0, np.inf).astype(np.float32)
    step = [positive("spacing_mm", s) / positive("axis_speed", f)
            for s, f in zip(spacing_mm, factors, strict=True)]  # fmt: skip
    pace = np.where(source, 1.0, speed)
    closed = pace <= CLOSED
    # scikit-fmm ignores strides, so arrays must be C-contiguous.
    sides = np.ma.MaskedArray(np.ascontiguousarray(np.where(source, -1.0, 1.0)), closed)
    times = skfmm.travel_time(sides, np.ascontiguousarray(np.where(closed, 1.0, pace)), dx=step)
    filled: np.ndarray = np.ma.filled(np.ma.asarray(times, float), np.inf)
    return np.where(source, 0.0, np.where(closed, np.inf, filled)).astype(np.float32)

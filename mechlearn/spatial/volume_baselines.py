"""Spatial baselines in 2D or 3D: arrival maps and masks by simple rules.

Arrival maps give masks of any size, so that methods can be compared at one size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mechlearn.checks import positive, same_shape
from mechlearn.records import ArrivalMap
from mechlearn.spatial.regions import box_around, signed_distance
from mechlearn.spatial.travel import blurred_inside
from mechlearn.spatial.volume_arrival import arrival_from_score

__all__ = ["BASELINE_MARGINS_MM", "dilation_map", "fisher_kpp_map", "heat_map", "uniform_margin"]

BASELINE_MARGINS_MM = (15.0, 20.0)  # clinical target volumes of EORTC and of older practice
FRONT_WIDTH_MM = 3.0  # sqrt(D / rho) in white matter
COARSE_MM = 2.0  # grid of the Fisher-KPP solver
RISE = 0.5  # density at which a voxel counts as tumour


def dilation_map(present: np.ndarray, where: np.ndarray, spacing_mm: Sequence[float]) -> ArrivalMap:
    """Isotropic growth by distance to the tumour, inside `where` (all true: everywhere)."""
    spacing, inside = tuple(map(float, spacing_mm)), where | present
    far = signed_distance(present, spacing_mm=spacing)
    return _map(far, present, inside, spacing, far)


def heat_map(
    present: np.ndarray, where: np.ndarray, spacing_mm: Sequence[float], *, size: float
) -> ArrivalMap:
    """Diffusion of the mask inside `where`: order by a Gaussian mean over `where`.

    Args:
        present, where: bool.
        spacing_mm: voxel size along each axis.
        size: to which the tumour grows, mm3 (mm2); the standard deviation is the increase of the
            radius of a ball (disc) from the present size, at least one voxel.
    """
    spacing, inside = tuple(map(float, spacing_mm)), where | present
    now = float(present.sum()) * math.prod(spacing)
    sigma = max(abs(_radius(size, present.ndim) - _radius(now, present.ndim)), max(spacing))
    score = -blurred_inside(present.astype(np.float32), inside, sigma, spacing)
    far = signed_distance(present, spacing_mm=spacing)
    score = np.where(score > -1e-6, far, score)  # where the blur is about 0, by distance
    return _map(score, present, inside, spacing, far)


def uniform_margin(
    present: np.ndarray, where: np.ndarray, spacing_mm: Sequence[float], margin_mm: float
) -> np.ndarray:
    """The tumour and all voxels of `where` within a margin of it, bool."""
    far = ndimage.distance_transform_edt(~present, sampling=tuple(map(float, spacing_mm)))
    return np.asarray(present | (where & (far <= margin_mm)))


def fisher_kpp_map(
    present: np.ndarray,
    speed: np.ndarray,
    spacing_mm: Sequence[float],
    *,
    size: float,
    reach_mm: float = 50.0,
) -> ArrivalMap:
    """Reaction-diffusion from the present mask through tissue, until the tumour has a size.

        du/dt = div(D grad u) + rho u (1 - u),    D = speed^2 / (4 rho)

    In uniform tissue the front has the given speed; there is no flux into tissue of speed 0. The
    arrival time of a voxel is that of u = 0.5. Only the order of the times is used.

    Args:
        present: bool.
        speed: relative speed of the front, 1 in white matter, 0 where no front passes.
        spacing_mm: voxel size along each axis; finer grids are solved at about 2 mm.
        size: mm3 (mm2) at which the simulation ends; voxels not reached until then are ordered by
            their density, voxels further away than `reach_mm` come last.
        reach_mm: margin of the box around the tumour in which the equation is solved.
    """
    same_shape("speed", speed, "present", present)
    spacing = tuple(map(float, spacing_mm))
    box = box_around(present, math.ceil(reach_mm / min(spacing)))
    stride = tuple(max(1, round(COARSE_MM / side)) for side in spacing)
    cut = tuple(slice(None, None, n) for n in stride)
    pace = np.where(present, 1.0, speed)[box]
    step = [side * n for side, n in zip(spacing, stride, strict=True)]
    coarse = _arrival_times(present[box][cut], pace[cut], step, size)
    fine = ndimage.map_coordinates(
        coarse, _fine_index(pace.shape, stride), order=1, mode="nearest"
    ).reshape(pace.shape)
    score = np.full(present.shape, np.inf)
    score[box] = fine
    inside = (speed > 0) | present
    far = signed_distance(present, spacing_mm=spacing)
    return _map(np.where(present, far, score), present, inside, spacing, far)


def _arrival_times(
    mask: np.ndarray, pace: np.ndarray, step: Sequence[float], size: float
) -> np.ndarray:
    """Time at which u reaches 0.5; for voxels not reached, the last time plus 1 - u."""
    rho = 1 / (2 * FRONT_WIDTH_MM)
    diffusion = (pace**2 / (4 * rho)).astype(np.float32)
    faces = [_harmonic(diffusion, axis) for axis in range(mask.ndim)]
    dt = 0.9 / (2 * diffusion.max() * sum(1 / side**2 for side in step) + rho)
    u, open_ = mask.astype(np.float32), pace > 0
    times = np.where(mask, 0.0, np.inf)
    wanted, voxel, time = max(size, 0.0), math.prod(step), 0.0
    longest = 2000  # steps; a tumour enclosed by closed tissue never reaches its size
    for _ in range(longest):
        if np.isfinite(times).sum() * voxel >= wanted:
            break
        time += dt
        change = rho * u * (1 - u)
        for axis, face in enumerate(faces):
            flux = face * np.diff(u, axis=axis) / step[axis] ** 2
            change += np.diff(flux, axis=axis, prepend=0, append=0)
        u = np.clip(u + dt * change, 0, 1) * open_
        times[(u >= RISE) & np.isinf(times)] = time
    return np.where(np.isinf(times), time + 1 - u, times)


def _harmonic(diffusion: np.ndarray, axis: int) -> np.ndarray:
    """Diffusivity on the faces between neighbours along an axis; 0 next to closed tissue."""
    low = np.take(diffusion, range(diffusion.shape[axis] - 1), axis)
    high = np.take(diffusion, range(1, diffusion.shape[axis]), axis)
    return np.asarray(2 * low * high / np.maximum(low + high, 1e-9))


def _fine_index(shape: tuple[int, ...], stride: Sequence[int]) -> np.ndarray:
    index = np.indices(shape, dtype=np.float32).reshape(len(shape), -1)
    return np.asarray(index / np.asarray(stride, np.float32)[:, None])


def _radius(size: float, ndim: int) -> float:
    """Radius of a ball of a volume, or of a disc of an area."""
    positive("size", size)
    return (3 * size / (4 * math.pi)) ** (1 / 3) if ndim == 3 else math.sqrt(size / math.pi)


def _map(
    score: np.ndarray,
    present: np.ndarray,
    inside: np.ndarray,
    spacing: tuple[float, ...],
    far: np.ndarray,
) -> ArrivalMap:
    """Arrival map of a score; `far` is the signed distance to the present tumour's edge."""
    sizes = arrival_from_score(score, present, inside, spacing, edge_mm=far)
    return ArrivalMap(sizes, present, spacing, "mm3" if present.ndim == 3 else "mm2")

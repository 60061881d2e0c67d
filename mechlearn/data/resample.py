"""Linear resampling along one axis as a matrix: anti-aliased down, linear up."""

from __future__ import annotations

import numpy as np
from scipy import sparse

__all__ = ["axis_weights", "resample_plane"]


def axis_weights(n_out: int, n_in: int, *, start: float, step: float) -> np.ndarray:
    """Weights of a triangle filter, (n_out, n_in) float32.

    Output sample i lies at input coordinate start + step * i. The triangle's half width is one
    input sample when enlarging (linear interpolation) and `step` samples when shrinking, which
    averages over the area of the output sample. Rows sum to 1 where the input covers the filter
    and to less beyond its ends: what lies outside counts as zero.
    """
    half = max(1.0, step)
    reach = int(np.ceil(half)) + 1
    at = start + step * np.arange(n_out)[:, None]

    def triangle(index: np.ndarray) -> np.ndarray:
        return np.clip(1.0 - np.abs(at - index) / half, 0.0, None)

    lattice = np.floor(at) + np.arange(-reach, reach + 2)
    total = triangle(lattice).sum(1, keepdims=True)
    return np.asarray(triangle(np.arange(n_in)[None, :]) / total, np.float32)


def resample_plane(volume: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """rows (R, H) and columns (C, W) weights applied to (..., H, W) -> (..., R, C) float32.

    The weights are nearly all zero: sparse products need few operations and, unlike BLAS, start
    no threads in the worker processes that prepare volumes side by side.
    """
    stack = volume.astype(np.float32, copy=False).reshape(-1, *volume.shape[-2:])
    out = np.moveaxis(_along_first(rows, np.moveaxis(stack, 1, 0)), 0, 1)
    out = np.moveaxis(_along_first(columns, np.moveaxis(out, 2, 0)), 0, 2)
    return np.ascontiguousarray(out).reshape(*volume.shape[:-2], len(rows), len(columns))


def _along_first(weights: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """weights (N, K) applied to (K, ...) -> (N, ...)."""
    flat = sparse.csr_array(weights) @ volume.reshape(len(volume), -1)
    return np.asarray(flat, np.float32).reshape(len(weights), *volume.shape[1:])

"""The exact growth map of the same slice: an arrival map and the share of targets that reach it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from cases import Case

from mechlearn.data.surroundings import surroundings_of
from mechlearn.spatial.arrival_order import growth_order

__all__ = ["arrival_row", "exact_map"]


def exact_map(case: Case) -> np.ndarray:
    """p(pixel) = share of the case's targets at or above the pixel's joining fraction, (H, W)."""
    joining = growth_order(case.reference)
    ordered = np.sort(case.targets[0]).astype(np.float32)
    below = np.searchsorted(ordered, joining, side="left")
    return np.asarray((ordered.size - below) / ordered.size)


def arrival_row(case: Case, *, rounds: int = 20) -> dict[str, Any]:
    """Seconds of the order and the map together, and how far the map is from averaged masks.

    An order in space serves all tumour slices of its visit: a slice bears its share of it.
    """
    found = exact_map(case)  # reads the packaged prior, which a session does once
    order, order_cpu = _order_in_space(case)
    begun, begun_cpu = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        exact_map(case)
    spent, spent_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    joining = growth_order(case.reference)
    masks = [joining <= np.float32(target) for target in case.targets[0]]
    return {
        "arrival_seconds": spent / rounds + order,
        "arrival_cpu_seconds": spent_cpu / rounds + order_cpu,
        "arrival_off_masks": float(np.abs(found - np.mean(masks, axis=0)).max()),
    }


def _order_in_space(case: Case) -> tuple[float, float]:
    """Seconds and processor seconds of the visit's order, for one slice with tumour; 0 without."""
    if case.visit is None:
        return 0.0, 0.0
    folder, slices = case.visit
    surroundings_of(folder)  # reads the packaged weights
    begun, begun_cpu = time.perf_counter(), time.process_time()
    surroundings_of(folder)
    spent, spent_cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    return spent / slices, spent_cpu / slices

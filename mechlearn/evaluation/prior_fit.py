"""Fit the growth prior: which pixels near a tumour are tumour at the next visit.

    python -m mechlearn.evaluation.prior_fit STORE OUT.json

The data are pairs of consecutive visits of the training patients, for slices that grow by more than
10% from at least 100 mm2. The fit is a penalised logistic regression with one intercept a slice.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.data.selection import pair_rows
from mechlearn.data.store import SliceStore
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice
from mechlearn.spatial.order_prior import GrowthPrior, features

__all__ = ["fit_prior", "fit_weights"]

log = logging.getLogger(__name__)
_REACH_MM = 40.0  # pixels further from the tumour are fitted only if the tumour reached them


def fit_weights(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, *, penalty: float = 1e-3, steps: int = 15
) -> np.ndarray:
    """Logistic regression with an unpenalised intercept for each group, by Newton's method.

    Args:
        x: (N, K). y: (N,) bool. groups: (N,) int, 0 .. G - 1, sorted.
        penalty: of the squared weights of standardised columns, per sample.
        steps: largest number of Newton steps.

    Returns:
        (K,) weights of the columns on their original scale.

    Raises:
        ValueError: groups that are not sorted 0 .. G - 1, or that hold one class only.
    """
    count = np.bincount(groups)
    if (np.diff(groups) < 0).any() or (count == 0).any():
        raise ValueError("groups must be sorted and numbered 0 .. G - 1 without gaps.")
    share = np.bincount(groups, y) / count
    if ((share == 0) | (share == 1)).any():
        raise ValueError("a group with one class has no finite intercept. Leave it out.")
    spread = x.std(0, dtype=float)
    spread = np.where(spread > 0, spread, 1.0)
    a = ((x - x.mean(0, dtype=float)) / spread).astype(np.float32)
    starts = np.searchsorted(groups, np.arange(count.size))
    ridge = penalty * len(y)
    w, c = np.zeros(x.shape[1]), np.log(share / (1 - share))

    def loss(w: np.ndarray, c: np.ndarray) -> tuple[float, np.ndarray]:
        z = a @ w.astype(np.float32) + c[groups]
        return float(np.sum(np.logaddexp(0, z) - y * z) + ridge / 2 * w @ w), z

    value, z = loss(w, c)
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(z, -60, 60)))
        h = np.maximum(p * (1 - p), 1e-6).astype(np.float32)
        grad_w = a.T @ (p - y).astype(np.float32) + ridge * w
        grad_c, h_c = (np.add.reduceat(v, starts) for v in (p - y, h))
        weighted = a * h[:, None]
        cross = np.add.reduceat(weighted, starts, axis=0)  # (G, K)
        # The Hessian's block of the intercepts is diagonal: eliminate it.
        schur = a.T @ weighted + ridge * np.eye(w.size) - cross.T @ (cross / h_c[:, None])
        step_w = np.linalg.solve(schur.astype(float), grad_w - cross.T @ (grad_c / h_c))
        step_c = (grad_c - cross @ step_w) / h_c
        size = 1.0
        while size > 1e-3:
            new_value, new_z = loss(w - size * step_w, c - size * step_c)
            if new_value < value:
                break
            size /= 2
        else:
            break
        done = value - new_value < 1e-6 * value
        w, c, value, z = w - size * step_w, c - size * step_c, new_value, new_z
        if done:
            break
    return np.asarray(w / spread)


def fit_prior(
    pairs: Sequence[tuple[AxialSlice, AxialSlice]],
    *,
    about: dict[str, Any],
    pixels: int = 1000,
    penalty: float = 1e-3,
    seed: int = 0,
) -> GrowthPrior:
    """Both sets of weights (3D and 2D features) from pairs of slices.

    Args:
        pairs: (reference with surroundings, follow-up) of growing slices.
        about: provenance, kept in the prior.
        pixels: number of pixels sampled in each slice.
        penalty: see `fit_weights`.
        seed: of the sampling.

    Raises:
        ValueError: a slice without surroundings, or no slice that grows.
    """
    rng = np.random.default_rng(seed)
    sets: dict[str, list[np.ndarray]] = {"in_space": [], "in_plane": []}
    names: dict[str, list[str]] = {}
    grown: list[np.ndarray] = []
    for scan, follow_up in tracked(pairs, "growth prior", log=log):
        if scan.surroundings is None:
            raise ValueError(f"slice {scan.slice_id}: no surroundings. Read it with them.")
        found = features(scan)
        outside = scan.brain & ~scan.tumour
        near = outside & ((found["plane>0"] < _REACH_MM) | follow_up.tumour)
        at = np.flatnonzero(near)
        at = np.sort(rng.choice(at, min(pixels, at.size), replace=False))
        y = follow_up.tumour.ravel()[at]
        if y.all() or not y.any():
            continue
        grown.append(y)
        for key, values in (
            ("in_space", found),
            ("in_plane", features(replace(scan, surroundings=None))),
        ):
            names[key] = list(values)
            sets[key].append(np.stack([v.ravel()[at] for v in values.values()], 1))
    if not grown:
        raise ValueError("growth prior: no growing slice to fit. Give a store with follow-ups.")
    y = np.concatenate(grown)
    groups = np.repeat(np.arange(len(grown)), [len(g) for g in grown])
    weights = {}
    for key, parts in sets.items():
        w = fit_weights(np.concatenate(parts), y, groups, penalty=penalty)
        # A higher score means a later arrival.
        weights[key] = dict(zip(names[key], (-w).tolist(), strict=True))
    about = {**about, "n_slices": len(grown), "n_patients": len({s.patient for s, _ in pairs}),
             "pixels_a_slice": pixels, "penalty": penalty, "seed": seed}  # fmt: skip
    return GrowthPrior(weights["in_space"], weights["in_plane"], about)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("store", type=Path, help="slice store with follow-up visits")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--slices", type=int, default=5, help="number a pair of visits")
    parser.add_argument("--min-area-mm2", type=float, default=100.0)
    parser.add_argument("--min-growth", type=float, default=0.10)
    parser.add_argument("--penalty", type=float, default=1e-3)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    store = SliceStore(arguments.store)
    rows = pair_rows(store, "train", count=arguments.slices, min_area_mm2=arguments.min_area_mm2,
                     min_growth=arguments.min_growth)  # fmt: skip
    read = [(store.read(a, surroundings=True), store.read(b))
            for a, b in tracked(rows, "reading", log=log)]  # fmt: skip
    about = {"fitted_to": f"training patients of the store {arguments.store.name}"}
    fit_prior(read, about=about, penalty=arguments.penalty).save(arguments.out)


if __name__ == "__main__":
    main()

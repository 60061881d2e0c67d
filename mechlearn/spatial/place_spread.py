"""Fit and read the spread of an arrival map: its uncertainty, estimated from pairs of visits.

The arrival map is evaluated at the true size of the second visit, so that errors of a size forecast
do not count.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import optimize

from mechlearn.records import PlaceSpread

__all__ = ["fit_place_spread", "log_ratio_counts", "packaged_spread"]

EDGES = np.linspace(-9.0, 4.0, 1301)  # of log(arrival / size): steps of 1%
_MIDDLES = (EDGES[1:] + EDGES[:-1]) / 2
_FORMAT = "mechlearn place spread"

Counts = tuple[np.ndarray, np.ndarray]


def log_ratio_counts(arrival: np.ndarray, truth: np.ndarray, size: float) -> Counts:
    """Voxels and tumour voxels of one pair of visits by log(arrival / size), two arrays (B,).

    Args:
        arrival: arrival sizes; voxels that are never reached are left out.
        truth: tumour at the second visit, bool of the same shape.
        size: its true size, in the unit of `arrival`.
    """
    reached = np.isfinite(arrival)
    u = np.log(arrival[reached] / size)
    which = np.clip(np.digitize(u, EDGES) - 1, 0, _MIDDLES.size - 1)
    everything = np.bincount(which, minlength=_MIDDLES.size)
    hit = np.bincount(which, weights=truth[reached], minlength=_MIDDLES.size)
    return everything.astype(float), hit


def fit_place_spread(pairs: Sequence[Counts]) -> PlaceSpread:
    """Spread with the least log loss over pairs of visits; the weight of a pair is one over its
    number of tumour voxels.

    Args:
        pairs: results of `log_ratio_counts`, one a patient.

    Raises:
        ValueError: no pairs.
    """
    if not pairs:
        raise ValueError("no pairs of visits: a spread needs at least one pair.")
    total = sum(everything / hit.sum() for everything, hit in pairs)
    positive = sum(hit / hit.sum() for _, hit in pairs)

    def spread(theta: np.ndarray) -> PlaceSpread:
        return PlaceSpread(float(theta[0]), float(np.exp(theta[1])), float(np.exp(theta[2])))

    def loss(theta: np.ndarray) -> float:
        p = np.clip(spread(theta).probability(_MIDDLES), 1e-6, 1 - 1e-6)
        return float(-(positive * np.log(p) + (total - positive) * np.log(1 - p)).sum())

    found = optimize.minimize(loss, np.array([0.0, -1.0, -1.0]), method="Nelder-Mead")
    return spread(found.x)


@cache
def packaged_spread() -> PlaceSpread:
    """The spread of the default order, fitted by experiments/where_real."""
    text = files("mechlearn.spatial").joinpath("priors/place_spread.json").read_text("utf-8")
    card = json.loads(text)
    if card["format"] != _FORMAT:
        raise ValueError(f"priors/place_spread.json: format {card['format']!r}, not {_FORMAT!r}. "
                         "Install the package again.")  # fmt: skip
    return PlaceSpread(card["shift"], card["inner"], card["outer"])

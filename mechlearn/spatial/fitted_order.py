"""Arrival order in 3D fitted to pairs of visits: an additive score of travel times and tissue.

    logit P(voxel is tumour at the next visit) = c(pair) - sum_k w_k f_k(voxel)

The intercept c of a pair models how much its tumour grew. The weights w model where; only they are
kept: one set for voxels outside the tumour, and one for voxels inside (for shrinkage). The features
f are the distance to the edge, travel times of fronts with three ratios of speed between tissues,
the travel time from the tumour's deepest part, and intensities of the tissue.

The packaged order is fitted to simulated tumours (experiments/where/fit_order.py), for use on
simulated tumours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mechlearn.files import write_json
from mechlearn.records import PlaceSpread
from mechlearn.spatial.front import front_time_mm
from mechlearn.spatial.order_prior import NEEDED
from mechlearn.spatial.regions import box_around, signed_mm
from mechlearn.spatial.travel import blurred_inside, standardised, tissue_shares

__all__ = ["FittedOrder", "columns", "fields", "near_box", "phantom_order"]

FRONTS = {"front": (0.3, 0.07), "steep": (0.15, 0.03), "flat": (0.5, 0.15)}  # grey, CSF
MARGIN_MM = 30.0  # around the tumour; voxels further away are ordered by distance
LIMIT_MM = 80.0
DEEP_SHARE = 0.7  # of the greatest depth: least depth of the tumour's deepest part
_FINE_MM, _BEYOND_MM = 1.5, (1.5, 3.75)
_KNOTS_MM = {"edge": (0, 3, 6, 12, 20), "deep": (0, 15, 30),
             **dict.fromkeys(FRONTS, (0, 2, 5, 10, 20))}  # fmt: skip
_INNER_MM = {"depth": (0, 2, 4, 8), "deep": (0, 10, 25)}
_KNOTS = {"t1n": (-1.5, -1, -0.5, 0, 0.5), "t2w": (-0.5, 0, 0.5, 1, 2),
          "t2f": (-2, -1, -0.5, 0, 0.5, 1)}  # fmt: skip
_FORMAT = "mechlearn fitted order"


def near_box(tumour: np.ndarray, spacing_mm: Sequence[float]) -> tuple[slice, ...]:
    """Box around the tumour with MARGIN_MM on every side."""
    return box_around(tumour, [ceil(MARGIN_MM / side) for side in spacing_mm])


def fields(
    images: Mapping[str, np.ndarray],
    brain: np.ndarray,
    tumour: np.ndarray,
    spacing_mm: Sequence[float],
) -> dict[str, np.ndarray]:
    """Distances, travel times and intensities for `columns`, float32 by name.

    Args:
        images: t1n, t2w and t2f, in any unit.
        brain, tumour: bool, of `near_box`.
        spacing_mm: along each axis.

    Raises:
        ValueError: one of the contrasts is missing.
    """
    if missing := [name for name in NEEDED if name not in images]:
        raise ValueError(f"the fitted order needs {', '.join(NEEDED)}; {', '.join(missing)} "
                         "missing. Use order travel or auto.")  # fmt: skip
    brain = brain | tumour
    stack = np.stack([np.asarray(images[name], np.float32) for name in NEEDED])
    scale = np.maximum(np.ptp(np.percentile(stack[:, brain], (1, 99), axis=1), axis=0), 1e-6)
    stack /= scale.reshape(-1, *[1] * brain.ndim)
    white, fluid = tissue_shares(stack, brain, tumour, contrasts=NEEDED, spacing_mm=spacing_mm)
    edge = signed_mm(tumour, spacing_mm)
    out = {"edge": edge, "depth": -edge, "white": white, "fluid": fluid}

    def times(grey: float, csf: float, source: np.ndarray) -> np.ndarray:
        speed = (grey + (1 - grey) * white) * (1 - fluid) + csf * fluid
        pace = np.where(brain, np.where(tumour, 1.0, speed), 0.0)
        return np.minimum(front_time_mm(pace, source, spacing_mm), LIMIT_MM)

    for name, (grey, csf) in FRONTS.items():
        out[name] = times(grey, csf, tumour)
    out["deep"] = times(*FRONTS["front"], tumour & (-edge >= DEEP_SHARE * (-edge).max()))
    for name, image in zip(NEEDED, stack, strict=True):
        out[name] = seen = standardised(image, brain, tumour, spacing_mm)
        out[f"{name}_fine"] = blurred_inside(seen, brain, _FINE_MM, spacing_mm)
        for sigma in _BEYOND_MM:
            out[f"{name}~{sigma:g}"] = blurred_inside(seen, brain & ~tumour, sigma, spacing_mm)
    return out


def columns(
    found: Mapping[str, np.ndarray], *, inside: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, values) of the features f of the score, for voxels inside or outside the tumour."""
    for name, knots in (_INNER_MM if inside else _KNOTS_MM).items():
        for knot in knots:
            yield f"{name}>{knot:g}", np.maximum(found[name] - knot, 0)
    for name in ("white", "fluid"):
        yield name, found[name]
    for name, levels in _KNOTS.items():
        yield name, found[name]
        for level in levels:
            yield f"{name}>{level:g}", np.maximum(found[f"{name}_fine"] - level, 0)
        for sigma in _BEYOND_MM:
            yield f"{name}~{sigma:g}", found[f"{name}~{sigma:g}"]


@dataclass(frozen=True)
class FittedOrder:
    """Weights of `columns` outside and inside the tumour; a higher score means a later arrival.

    Attributes:
        outside, inside: weights by name of the column.
        spread: uncertainty of this order, estimated on other pairs.
        about: data that it was fitted to.
    """

    outside: Mapping[str, float]
    inside: Mapping[str, float]
    spread: PlaceSpread
    about: Mapping[str, Any]

    def score(
        self,
        images: Mapping[str, np.ndarray],
        brain: np.ndarray,
        tumour: np.ndarray,
        spacing_mm: Sequence[float],
    ) -> np.ndarray:
        """Score of every voxel, float32; outside `near_box` it is the distance to the tumour.

        Arguments as for `fields`, but of the whole scan.
        """
        box = near_box(tumour, spacing_mm)
        near = tumour[box]
        found = fields({n: np.asarray(i)[box] for n, i in images.items()}, brain[box], near,
                       spacing_mm)  # fmt: skip
        sums = [
            sum(weights[name] * values for name, values in columns(found, inside=inside)
                if name in weights)
            for inside, weights in ((False, self.outside), (True, self.inside))
        ]  # fmt: skip
        far = ndimage.distance_transform_edt(~tumour, sampling=tuple(spacing_mm))
        out = np.asarray(far + float(np.max(sums[0])), np.float32)
        out[box] = np.where(near, sums[1], sums[0])
        return out

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        sets = {k: {n: float(f"{w:.4g}") for n, w in getattr(self, k).items()}
                for k in ("outside", "inside")}  # fmt: skip
        write_json(Path(path), {"format": _FORMAT, "about": dict(self.about),
                                "spread": asdict(self.spread), **sets})  # fmt: skip


@cache
def phantom_order() -> FittedOrder:
    """The packaged order, fitted to simulated tumours."""
    card = json.loads(files("mechlearn.spatial").joinpath("priors/phantom_order.json").read_text())
    if card["format"] != _FORMAT:
        raise ValueError(f"priors/phantom_order.json: format {card['format']!r}, not {_FORMAT!r}. "
                         "Install the package again.")  # fmt: skip
    return FittedOrder(card["outside"], card["inside"], PlaceSpread(**card["spread"]),
                       card["about"])  # fmt: skip

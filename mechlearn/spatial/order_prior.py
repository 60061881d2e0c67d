"""Growth prior: an additive score of distance and tissue, fitted to pairs of slices.

    logit P(pixel is tumour at the next visit) = c(slice) - sum_k w_k f_k(pixel)

The intercept c of a slice models how much its tumour grew. The weights w model where; only they are
kept. The features f are distances to the tumour (in 2D, in 3D, and as travel time of a front
through the tissue) and intensities at and around the pixel, which include faint signal beyond the
mask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.files import write_json
from mechlearn.records import AxialSlice
from mechlearn.spatial.regions import signed_distance
from mechlearn.spatial.travel import blurred_inside, standardised, tissue_speed, travel_mm

__all__ = ["NEEDED", "GrowthPrior", "features", "load_prior"]

NEEDED = ("t1n", "t2w", "t2f")
_VERSION = 1
_FARTHEST_MM = 60.0
_KNOTS_MM = {"plane": (0, 3, 6, 12, 20), "space": (0, 3, 6, 12, 20), "travel": (0, 2, 5, 10, 20)}
_KNOTS = {"t1n": (-1.5, -1, -0.5, 0, 0.5), "t2w": (-0.5, 0, 0.5, 1, 2),
          "t2f": (-2, -1, -0.5, 0, 0.5, 1)}  # fmt: skip
_FINE_MM = 1.5
_BEYOND_MM = (1.5, 3.75)


def features(scan: AxialSlice) -> dict[str, np.ndarray]:
    """Features of the score, (H, W) float32 by name, for pixels outside the tumour.

    `plane>k`, `space>k`, `travel>k`: max(x - k, 0) of the 2D distance, the 3D distance and the
    travel time in mm (without surroundings the travel time is in 2D, and there is no `space`). For
    a contrast c: `c` its intensity, `c>k` max(x - k, 0) after a blur of 1.5 mm, `c~s` its mean over
    tissue outside the tumour with a Gaussian of s mm. Contrasts are in units of
    `travel.standardised`.

    Raises:
        ValueError: one of `NEEDED` is not among the contrasts, or there is no tumour in the brain.
    """
    missing = [name for name in NEEDED if name not in scan.contrasts]
    if missing:
        raise ValueError(f"slice {scan.slice_id}: the growth prior needs {', '.join(NEEDED)}, "
                         f"{', '.join(missing)} missing. Prepare the data with them.")  # fmt: skip
    brain, spacing = scan.brain, scan.spacing_mm
    tumour = scan.tumour & brain
    out: dict[str, np.ndarray] = {}
    for name, distance in _nearness(scan, tumour).items():
        for knot in _KNOTS_MM[name]:
            out[f"{name}>{knot:g}"] = np.maximum(distance - knot, 0.0)
    for name in NEEDED:
        raw = scan.image[scan.contrasts.index(name)]
        seen = standardised(raw, brain, tumour, spacing)
        out[name] = seen
        fine = blurred_inside(seen, brain, _FINE_MM, spacing)
        for level in _KNOTS[name]:
            out[f"{name}>{level:g}"] = np.maximum(fine - level, 0.0)
        for sigma in _BEYOND_MM:
            out[f"{name}~{sigma:g}"] = blurred_inside(seen, brain & ~tumour, sigma, spacing)
    return {name: np.asarray(values, np.float32) for name, values in out.items()}


def _nearness(scan: AxialSlice, tumour: np.ndarray) -> dict[str, np.ndarray]:
    spacing = scan.spacing_mm
    plane = np.minimum(signed_distance(tumour, spacing_mm=spacing), _FARTHEST_MM)
    if scan.surroundings is not None:
        near = scan.surroundings
        return {"plane": plane, "space": near.distance_mm, "travel": near.travel_mm}
    speed = tissue_speed(
        scan.image, scan.brain, tumour, contrasts=scan.contrasts, spacing_mm=spacing
    )
    return {"plane": plane, "travel": travel_mm(speed, tumour, spacing)}


@dataclass(frozen=True)
class GrowthPrior:
    """Weights of `features`: one set for slices with surroundings, one for slices without.

    A higher score means a later arrival. `about`: data that they were fitted to.
    """

    in_space: Mapping[str, float]
    in_plane: Mapping[str, float]
    about: Mapping[str, Any]

    def score(self, scan: AxialSlice) -> np.ndarray:
        """Score of every pixel, (H, W) float32; valid only outside the tumour."""
        weights = self.in_plane if scan.surroundings is None else self.in_space
        found = features(scan)
        total = np.zeros(scan.brain.shape, np.float32)
        for name, weight in weights.items():
            total += weight * found[name]
        return total

    def save(self, path: str | Path) -> Path:
        """Write as JSON."""
        card = {"format": "mechlearn growth prior", "version": _VERSION, "about": dict(self.about)}
        for key in ("in_space", "in_plane"):
            card[key] = {n: float(f"{w:.4g}") for n, w in getattr(self, key).items()}
        write_json(Path(path), card)
        return Path(path)


def load_prior(source: str | Path = "phantom") -> GrowthPrior:
    """The packaged prior by name (`phantom`), or one from a file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a prior of this version, or weights of unknown features.
    """
    remedy = (
        "Fit one with `python -m mechlearn.evaluation.prior_fit STORE OUT.json`, or use phantom."
    )
    if str(source) == "phantom":
        text = files("mechlearn.spatial").joinpath("priors/phantom.json").read_text()
    else:
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"growth prior {source}: no such file. {remedy}")
        text = path.read_text()
    try:
        card = json.loads(text)
        if card["format"] != "mechlearn growth prior" or card["version"] != _VERSION:
            raise ValueError(f"format {card['format']!r}, version {card['version']!r}")
        sets = [{str(n): float(w) for n, w in card[k].items()} for k in ("in_space", "in_plane")]
        _check(sets[0], _names(space=True))
        _check(sets[1], _names(space=False))
        return GrowthPrior(sets[0], sets[1], card["about"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"growth prior {source}: not a prior of version {_VERSION} ({error}). "
                         f"{remedy}") from error  # fmt: skip


def _names(*, space: bool) -> list[str]:
    distances = [f"{n}>{k:g}" for n, ks in _KNOTS_MM.items() if space or n != "space" for k in ks]
    tissue = [
        key
        for name in NEEDED
        for key in (name, *(f"{name}>{k:g}" for k in _KNOTS[name]),
                    *(f"{name}~{s:g}" for s in _BEYOND_MM))
    ]  # fmt: skip
    return distances + tissue


def _check(weights: Mapping[str, float], names: Sequence[str]) -> None:
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise ValueError(f"weights of unknown features {unknown}")
    if not all(np.isfinite(list(weights.values()))):
        raise ValueError("a weight is not finite")

"""The embedded viewer of a page: small volumes in the page itself, shown by NiiVue.

Every volume is cropped to the brain, stored as uint8 NIfTI in the axis order and the space of the
last scan, compressed, and written into the page as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
from scipy import ndimage

from mechlearn.data.model_grid import canonical_spacing
from mechlearn.data.nifti import small_nifti

__all__ = ["CONTRAST_NAMES", "FIRST", "DrawnVolume", "Viewer", "make_viewer", "viewer_scripts"]

CONTRAST_NAMES = {"t1n": "T1", "t1c": "T1 with contrast agent", "t2w": "T2", "t2f": "T2-FLAIR"}
WINDOW = (0.5, 99.8)  # percentiles of the brain shown as black and as white
THICK = 2.0  # slice thickness over the finest voxel size, above which outlines are in plane only
MARGIN = 3  # voxels kept around the brain
MOST_VOXELS = 8_000_000  # limit of a contrast; above it every second voxel in the plane is shown
OUTLINES = {"outline": "tumour of the last visit", "later": "later visit, not used"}
FIRST = ("t2f", "t1c", "t2w", "t1n")  # the first of these contrasts is shown at start


@dataclass(frozen=True)
class DrawnVolume:
    """Drawn slices of one target: `label` for the menu, contrast -> (Z, H, W), slices drawn."""

    label: str
    volumes: Mapping[str, np.ndarray]
    zs: tuple[int, ...]


@dataclass(frozen=True)
class Viewer:
    """Values for the template: volumes (key -> base64), choices, settings of the script."""

    contrasts: tuple[str, ...]
    maps: tuple[Mapping[str, str], ...]
    drawn: tuple[Mapping[str, str], ...]
    drawn_z: tuple[int, ...]
    outlines: tuple[Mapping[str, str], ...]
    volumes: Mapping[str, str]
    setup: Mapping[str, Any]
    note: str = ""
    names: Mapping[str, str] = field(default_factory=lambda: CONTRAST_NAMES)


def viewer_scripts() -> list[str]:
    """NiiVue and the viewer's own script, as text for script elements."""
    folder = files("mechlearn.report").joinpath("assets")
    return [folder.joinpath(n).read_text("utf-8") for n in ("niivue.umd.js", "viewer.js")]


def make_viewer(
    scan: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    *,
    present: np.ndarray,
    brain: np.ndarray,
    affine: np.ndarray,
    drawn: Sequence[DrawnVolume] = (),
    later: np.ndarray | None = None,
) -> Viewer:
    """Prepare the viewer of one visit.

    Args:
        scan: contrast -> last scan, (Z, H, W) in canonical order.
        maps: label -> growth probability, (Z, H, W) in [0, 1]; the first is shown at start.
        present: tumour of the last visit, bool.
        brain: bool.
        affine: (4, 4) affine of the scan's files.
        drawn: drawn slices, with the intensities of the scan.
        later: tumour of the visit on the forecast day, bool, or None.

    Raises:
        ValueError: no contrast or no map.
    """
    if not scan or not maps:
        raise ValueError("viewer: at least one contrast and one growth map are needed.")
    box, step = _box(brain), 1
    if np.prod([s.stop - s.start for s in box]) > MOST_VOXELS:
        step = 2

    def packed(volume: np.ndarray) -> str:
        content = small_nifti(volume, affine, box=box, step=step)
        return base64.b64encode(content).decode("ascii")

    contrasts = tuple(c for c in FIRST if c in scan) or tuple(scan)
    volumes: dict[str, str] = {}
    for name in contrasts:
        low, high = np.percentile(scan[name][brain], WINDOW) if brain.any() else (0.0, 1.0)
        volumes[f"scan-{name}"] = packed(_bytes(scan[name], brain, low, high))
        for k, item in enumerate(drawn):
            there = np.zeros_like(brain)
            there[list(item.zs)] = brain[list(item.zs)]
            volumes[f"drawn{k}-{name}"] = packed(_bytes(item.volumes[name], there, low, high))
    for k, probability in enumerate(maps.values()):
        volumes[f"map{k}"] = packed(np.rint(255 * probability).astype(np.uint8))
    masks = {"outline": present} | ({} if later is None else {"later": later})
    for key, mask in masks.items():
        volumes[key] = packed(_edge(mask, canonical_spacing(affine)))
    named_outlines = tuple({"key": key, "label": OUTLINES[key]} for key in masks)
    drawn_z = tuple(sorted({z for item in drawn for z in item.zs}))
    named_maps = tuple({"key": f"map{k}", "label": label} for k, label in enumerate(maps))
    named_drawn = tuple({"key": f"drawn{k}", "label": d.label} for k, d in enumerate(drawn))
    setup = {
        "contrasts": contrasts, "maps": named_maps, "drawn": named_drawn, "drawn_z": drawn_z,
        "outlines": named_outlines,
        "first_z": box[0].start, "centre": _centre(present if present.any() else brain, box),
    }  # fmt: skip
    note = "The scan is shown with every second voxel of each row and column." if step > 1 else ""
    return Viewer(contrasts, named_maps, named_drawn, drawn_z, named_outlines, volumes, setup,
                  note)


def _box(brain: np.ndarray) -> tuple[slice, ...]:
    """Bounding box of the brain with a margin."""
    found = ndimage.find_objects(brain.astype(np.uint8))
    whole = tuple(slice(0, n) for n in brain.shape)
    if not found or found[0] is None:
        return whole
    return tuple(
        slice(max(s.start - MARGIN, 0), min(s.stop + MARGIN, n))
        for s, n in zip(found[0], brain.shape, strict=True)
    )


def _bytes(volume: np.ndarray, inside: np.ndarray, low: float, high: float) -> np.ndarray:
    """Intensities as uint8: 1 to 255 inside the brain, 0 outside."""
    scaled = 1 + 254 * (np.asarray(volume, np.float32) - low) / max(high - low, 1e-6)
    return np.where(inside, np.clip(np.rint(scaled), 1, 255), 0).astype(np.uint8)


def _edge(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """255 on the surface of the tumour, except at the border of the volume.

    Neighbours across thick slices are ignored: otherwise whole areas of a slice are surface.
    """
    near = ndimage.generate_binary_structure(3, 1)
    for axis, spacing in enumerate(spacing_mm):
        if spacing > THICK * min(spacing_mm):
            near &= np.expand_dims(np.array([False, True, False]), tuple({0, 1, 2} - {axis}))
    return (mask & ~ndimage.binary_erosion(mask, near, border_value=1)).astype(np.uint8) * 255


def _centre(mask: np.ndarray, box: tuple[slice, ...]) -> list[float]:
    """First position of the viewer, fractions along right, front, up: planes with most mask."""
    at = [
        (int(mask.sum(tuple({0, 1, 2} - {axis})).argmax()) - box[axis].start + 0.5)
        / (box[axis].stop - box[axis].start)
        for axis in range(3)
    ]
    z, y, x = at  # canonical rows run from front to back, columns from right to left
    return [1 - x, 1 - y, z]

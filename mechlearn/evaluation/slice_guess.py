"""First guess of a slice with another tumour, which is generated from it."""

from __future__ import annotations

import numpy as np
import torch

from mechlearn.diffusion.label_sampling import window_of
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.models.label_networks import label_map
from mechlearn.records import AxialSlice
from mechlearn.spatial.first_guess import GuessSpec, continued_tumour, seen_anatomy
from mechlearn.spatial.hidden_tumour import faded_px, known_pixels
from mechlearn.spatial.travel import tissue_shares

__all__ = ["first_guess", "growing_room"]

SEEN_PX = 32  # around the changed region, for the inpainter
FLUID_BLUR_MM = 0.75  # small, to separate CSF and tissue at the scale of pixels


def growing_room(scan: AxialSlice) -> np.ndarray:
    """Pixels where tumour is possible: brain without CSF, and the tumour, (H, W) bool."""
    _, fluid = tissue_shares(
        scan.image, scan.brain, scan.tumour, contrasts=scan.contrasts,
        spacing_mm=scan.spacing_mm, blur_mm=FLUID_BLUR_MM,
    )  # fmt: skip
    return np.asarray(scan.brain & ((fluid < 0.5) | (scan.labels > 0)))


def first_guess(
    scan: AxialSlice, labels: np.ndarray, *, model: LoadedModel, spec: GuessSpec | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The slice with other labels as it is expected, and the region that changes.

    Args:
        scan: prepared slice with labels. labels: target labels, (H, W).
        model: from `load_drawer`; without an inpainter the tumour is continued alone.
        spec: settings; the defaults if None.

    Returns:
        (C, H, W) float32 in [-1, 1], and (H, W) bool.
    """
    spec = spec or GuessSpec()
    guess, region = continued_tumour(scan.image, scan.labels, labels, scan.brain, spec=spec)
    region &= scan.brain
    inpainter = getattr(model.module, "inpainter", None)
    if inpainter is None or spec.inpainted == 0:
        return guess, region
    may_change = growing_room(scan) | (labels > 0) & scan.brain  # CSF around a tumour stays
    faded = faded_px(scan.image, scan.labels, scan.brain, faint_share=spec.faint_share)
    known = known_pixels(
        scan.labels, labels, may_change, border_px=faded, outer_px=spec.outer_px if faded else 0.0
    )
    if (known == 1).all():
        return guess, region
    leaves = scan.brain & (scan.labels > 0) & (labels == 0)
    painted = np.where(leaves, guess, scan.image)
    window = window_of(torch.from_numpy(known < 1), margin_px=SEEN_PX)
    image, wanted, brain, certain = (
        window.of(torch.from_numpy(x))[None]
        for x in (painted, labels.astype(np.int64), scan.brain[None], known[None])
    )
    with torch.inference_mode():
        made = inpainter(image, label_map(wanted, brain), certain)
    window.of(torch.from_numpy(painted))[:] = made[0]
    seen = seen_anatomy(scan.image, scan.brain & (scan.labels == 0), spec)
    painted += np.where((known < 1) & (labels > 0), seen, 0.0).astype(np.float32)
    mixed = spec.inpainted * painted.clip(-1, 1) + (1 - spec.inpainted) * guess
    return mixed.astype(np.float32), region | (known < 1)

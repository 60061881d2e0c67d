"""What guidance did to a picture besides growing the tumour."""

from __future__ import annotations

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.metrics.structural_similarity import region_ssim
from mechlearn.records import AxialSlice
from mechlearn.spatial.regions import tumour_region

__all__ = ["picture_row"]


def picture_row(reference: AxialSlice, image: np.ndarray) -> Row:
    """What became of a reference slice in a generation, (C, H, W): flat keys.

    `ssim_inside`, `ssim_outside` of the doubled tumour (and per contrast), `alteration_*` = 1 -
    SSIM; `drift_outside`: mean absolute change there, of a range of 2; `change_inside_share` of
    all change in the brain; `hyperintense_fraction` of the brain brighter on FLAIR than anything
    in the reference; `changed_outside_brain_fraction` of the background's pixels.
    """
    brain = reference.brain
    background = max(int((~brain).sum()), 1)
    region = tumour_region(reference.tumour, brain)
    ssim = region_ssim(image, reference.image, tumour=region, brain=brain)
    change = np.abs(image - reference.image).mean(axis=0)
    outside, total = brain & ~region, float(change[brain].sum())
    row: Row = {
        "ssim_inside": ssim.inside,
        "ssim_outside": ssim.outside,
        "alteration_inside": None if ssim.inside is None else 1 - ssim.inside,
        "alteration_outside": None if ssim.outside is None else 1 - ssim.outside,
        "drift_outside": float(change[outside].mean()) if outside.any() else None,
        "change_inside_share": float(change[region].sum()) / total if total > 0 else None,
        "changed_outside_brain_fraction": float((change > 0)[~brain].sum()) / background,
        "hyperintense_fraction": _hyperintense(reference, image),
    }
    for where in ("inside", "outside"):
        values = getattr(ssim, f"{where}_per_contrast")
        for i, name in enumerate(reference.contrasts):
            row[f"ssim_{where}_{name}"] = None if values is None else values[i]
    return row


def _hyperintense(reference: AxialSlice, image: np.ndarray) -> float | None:
    """None without FLAIR."""
    if "t2f" not in reference.contrasts:
        return None
    at = reference.contrasts.index("t2f")
    brightest = reference.image[at][reference.brain].max()
    return float((image[at][reference.brain] > brightest).mean())

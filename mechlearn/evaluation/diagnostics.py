"""Changes of a generated image inside and outside the tumour."""

from __future__ import annotations

import numpy as np

from mechlearn.evaluation.rows import Row
from mechlearn.metrics.structural_similarity import region_ssim
from mechlearn.records import AxialSlice
from mechlearn.spatial.regions import tumour_region

__all__ = ["picture_row"]


def picture_row(reference: AxialSlice, image: np.ndarray) -> Row:
    """Scores of a generated image, (C, H, W) in [-1, 1], against its reference slice, as flat keys.

    Inside and outside refer to `tumour_region` (the tumour grown to twice its area).
    `ssim_inside`, `ssim_outside`: also per contrast; `alteration_*` = 1 - SSIM; `drift_outside`:
    mean absolute change outside; `change_inside_share`: share of the change in the brain that lies
    inside; `hyperintense_fraction`: share of the brain that is brighter on FLAIR than the brightest
    pixel of the reference; `changed_outside_brain_fraction`: share of the background's pixels that
    changed.
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
    """Share of the brain brighter on FLAIR than the reference's maximum; None without FLAIR."""
    if "t2f" not in reference.contrasts:
        return None
    at = reference.contrasts.index("t2f")
    brightest = reference.image[at][reference.brain].max()
    return float((image[at][reference.brain] > brightest).mean())

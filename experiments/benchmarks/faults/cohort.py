"""Five computed patients of two visits: an ellipsoid brain with a growing ball, no real data."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from mechlearn.data.manifest import VisitRecord, write_manifest
from mechlearn.records import CONTRASTS

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def cohort(root: Path, *, patients: int = 5, visits: int = 2) -> Path:
    """Write the cohort; the path of its manifest."""
    grid = (np.indices((28, 28, 10)) - np.array([13.5, 13.5, 4.5])[:, None, None, None]) * 2.0
    brain = (grid[0] / 26) ** 2 + (grid[1] / 26) ** 2 + (grid[2] / 12) ** 2 < 1
    records = []
    for p in range(patients):
        texture = np.random.default_rng(p).normal(0, 3, brain.shape)
        for v in range(visits):
            tumour = brain & (np.hypot(grid[0] - p, grid[1] + p) < 5 + 1.5 * v)
            folder = root / f"p{p}" / f"v{v}"
            folder.mkdir(parents=True)
            files = {name: folder / f"{name}.nii.gz" for name in (*CONTRASTS, "seg")}
            for c, name in enumerate(CONTRASTS):
                image = np.where(brain, 100 + 10 * c + texture + 60 * tumour, 0)
                nib.save(nib.Nifti1Image(image.astype(np.float32), AFFINE), files[name])
            nib.save(nib.Nifti1Image((2 * tumour).astype(np.uint8), AFFINE), files["seg"])
            records.append(VisitRecord(f"p{p}", f"v{v}", {c: files[c] for c in CONTRASTS},
                                       files["seg"], "brats2023", day=60.0 * v))  # fmt: skip
    return write_manifest(records, root / "visits.csv")

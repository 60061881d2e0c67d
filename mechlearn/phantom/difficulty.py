"""Difficulty of a phantom cohort: agreement of simple baselines with the later visit.

For pairs of visits of one patient and axial slices whose tumour grows by more than 10%, the later
mask is compared with the first mask (no change), and with the first mask dilated inside the brain
to the later area. Values of real patients are in the table for comparison.

    python -m mechlearn.phantom.difficulty ROOT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console

from mechlearn.metrics.distance import dice, hd95_mm
from mechlearn.spatial.regions import dilate_to_area

__all__ = ["BINS", "REAL", "SliceAgreement", "cohort_agreements", "compare", "pairs", "table"]

# Ranges of growth factors, one a row of the table. REAL: values of real patients, where known.
BINS = ((1.1, 1.2), (1.2, 1.3), (1.3, 1.6), (1.6, 2.2), (2.2, 3.2), (3.2, 4.5), (4.5, 7.0))
REAL = {(1.2, 1.3): ".80-.81 / .83-.85 / 2.2-3.0 / 1.7-2.2", (4.5, 7.0): ".30 / .71 / 23 / 9.3"}


@dataclass(frozen=True)
class SliceAgreement:
    """Scores of one slice of a pair of visits. Distances in mm; `kept`: share of the first mask
    that is still tumour."""

    patient: str
    factor: float  # later area / first area
    dice_no_change: float
    dice_dilation: float
    hd95_no_change: float
    hd95_dilation: float
    kept: float


def compare(
    first: np.ndarray, later: np.ndarray, brain: np.ndarray, *, voxel_mm: float, patient: str = ""
) -> SliceAgreement:
    """Agreement of one slice: `first`, `later`, `brain` (H, W) bool, both masks non-empty."""
    area = int(later.sum())
    dilated = dilate_to_area(first, brain, area)
    spacing = (voxel_mm, voxel_mm)
    return SliceAgreement(
        patient=patient,
        factor=area / int(first.sum()),
        dice_no_change=dice(first, later) or 0.0,
        dice_dilation=dice(dilated, later) or 0.0,
        # No mask is empty, so the distance is defined.
        hd95_no_change=hd95_mm(first, later, spacing) or 0.0,
        hd95_dilation=hd95_mm(dilated, later, spacing) or 0.0,
        kept=float((first & later).sum() / first.sum()),
    )


def pairs(
    masks: list[np.ndarray], brains: list[np.ndarray], *, voxel_mm: float, patient: str = "",
    min_growth: float = 0.1, min_area_mm2: float = 100.0, step: int = 3,
) -> Iterator[SliceAgreement]:
    """Agreements of all pairs of visits, for every `step`-th slice; masks (X, Y, Z) bool."""
    smallest = min_area_mm2 / voxel_mm**2
    areas = [mask.sum((0, 1)) for mask in masks]
    for i, j in combinations(range(len(masks)), 2):
        grown = (areas[i] >= smallest) & (areas[j] > (1 + min_growth) * areas[i])
        for z in np.flatnonzero(grown)[::step]:
            yield compare(masks[i][..., z], masks[j][..., z], brains[j][..., z] | masks[i][..., z],
                          voxel_mm=voxel_mm, patient=patient)


def cohort_agreements(root: str | Path, *, split: str = "test") -> Iterator[SliceAgreement]:
    """Agreements of all finished patients of a split of a written cohort."""
    root = Path(root)
    for path in sorted((root / "truth").glob("MLP-*.json")):
        truth = json.loads(path.read_text())
        if truth["split"] != split:
            continue
        masks, brains, voxel_mm = [], [], 1.0
        for visit in truth["visits"]:
            session = visit["session"]
            seg, t1n = (nib.Nifti1Image.from_filename(root / session / f"{session}-{c}.nii.gz")
                        for c in ("seg", "t1n"))
            voxel_mm = float(seg.header.get_zooms()[0])
            masks.append(np.asarray(seg.dataobj) > 0)
            brains.append(np.asarray(t1n.dataobj) > 0)
        yield from pairs(masks, brains, voxel_mm=voxel_mm, patient=truth["patient"])


def table(rows: Iterable[SliceAgreement]) -> str:
    """Markdown table: means over slices by growth factor, with values of real patients."""
    rows = list(rows)
    lines = ["| growth | slices (patients) | first mask kept | Dice no change | Dice dilation "
             "| HD95 no change, mm | HD95 dilation, mm | real patients |", "|" + "---|" * 8]
    for low, high in BINS:
        found = [r for r in rows if low <= r.factor < high]
        if not found:
            lines.append(f"| x{low:g}-{high:g} | 0 | | | | | | {REAL.get((low, high), '')} |")
            continue
        mean = {key: float(np.mean([getattr(r, key) for r in found])) for key in
                ("kept", "dice_no_change", "dice_dilation", "hd95_no_change", "hd95_dilation")}
        lines.append(
            f"| x{low:g}-{high:g} (mean {np.mean([r.factor for r in found]):.2f}) "
            f"| {len(found)} ({len({r.patient for r in found})}) | {mean['kept']:.2f} "
            f"| {mean['dice_no_change']:.3f} | {mean['dice_dilation']:.3f} "
            f"| {mean['hd95_no_change']:.1f} | {mean['hd95_dilation']:.1f} "
            f"| {REAL.get((low, high), '')} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of a written phantom cohort")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    arguments = parser.parse_args()
    rows = list(cohort_agreements(arguments.root, split=arguments.split))
    Console(width=160).print(table(rows), markup=False)


if __name__ == "__main__":
    main()

"""LUMIERE: the volumes that were measured with a segmentation, against the segmentation.

Papers and loaders disagree on what LUMIERE's labels 1 and 2 mean. Beside each mask lies
`measured_volumes_in_mm3.json`, written by the program that made the mask; it settles the question
session by session.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mechlearn.files import read_json

__all__ = ["MEASURED_FILE", "check_measured_volumes"]

MEASURED_FILE = "measured_volumes_in_mm3.json"
COMPARTMENTS: Mapping[str, int] = {
    "Enhancing_Core": 1, "Necrotic_NonEnhancing": 2, "Edema_Compartment": 3,
}  # fmt: skip
TOLERANCE = 0.01  # of a volume, or one voxel: they were rounded


def check_measured_volumes(seg: Path, labels: np.ndarray, *, voxel_mm3: float) -> None:
    """Refuse a mask whose labels do not have the volumes that were measured.

    Args:
        seg: file of the mask; the measured volumes lie beside it.
        labels: its values, any shape.
        voxel_mm3: volume of a voxel.

    Raises:
        ValueError: no measured volumes, or one that differs; it names both files and numbers.
    """
    path = seg.with_name(MEASURED_FILE)
    if not path.is_file():
        raise ValueError(
            f"{path}: no such file. It says what the labels of {seg.name} mean in this session; "
            "take it from the data set as well."
        )
    measured = read_json(path)
    unknown = sorted(set(measured) - set(COMPARTMENTS)) if isinstance(measured, dict) else measured
    if unknown or not measured:
        raise ValueError(
            f"{path}: found {unknown or measured}, expected {', '.join(COMPARTMENTS)} in mm3. "
            "Take the file from the data set again."
        )
    found = {name: float((labels == k).sum()) * voxel_mm3 for name, k in COMPARTMENTS.items()}
    for name, label in COMPARTMENTS.items():
        expected = float(measured.get(name, 0.0))
        if abs(found[name] - expected) > max(TOLERANCE * expected, voxel_mm3):
            others = [n for n, v in found.items() if abs(v - expected) <= voxel_mm3 and n != name]
            swapped = f" (label {COMPARTMENTS[others[0]]} has that volume)" if others else ""
            raise ValueError(
                f"{seg}: label {label} fills {found[name]:g} mm3, but {path.name} beside it says "
                f"{name} {expected:g} mm3{swapped}; mask and volumes do not belong together, or "
                "the labels mean something else here. Leave the session out or mend the mask."
            )

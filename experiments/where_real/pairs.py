"""Pairs of visits of real patients as cases: UCSF-ALPTDG masks in space, BTP T1 in the plane."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from mechlearn.data.aligned_volumes import read_aligned
from mechlearn.evaluation.scored_case import ForecastCase
from mechlearn.evaluation.scoring import read_case
from mechlearn.spatial.volume_arrival import FrontSpec, image_speed

CAVITY = 4
LEAST_PX = 100  # of a slice that is scored in the plane


def root() -> Path:
    """Folder of the real data: MECHLEARN_REAL_DATA, or ../shared/data beside the checkout."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("MECHLEARN_REAL_DATA", default))


def ucsf(folder: Path, *, limit: int | None = None) -> list[ForecastCase]:
    """One case a patient, 3D, tissue of the template; the prediction is left out."""
    cases = []
    for place in sorted((folder / "pairs" / "ucsf_masks").iterdir())[:limit]:
        first, second = (place / f"{place.name}_time{k}_seg.nii.gz" for k in (1, 2))
        entry = {"patient": place.name, "last": str(first), "truth": str(second),
                 "brain": "template"}  # fmt: skip
        cases.append(read_case(entry, cavity=CAVITY).cropped())
    return cases


def btp(folder: Path) -> list[ForecastCase]:
    """One case a slice in which both visits have a tumour of 100 pixels; speed from the T1."""
    cases = []
    for place in sorted((folder / "pairs" / "btp").iterdir()):
        name = place.name
        read = read_aligned({
            "last": place / f"{name}_pre_mask.nii.gz", "t1n": place / f"{name}_pre_t1.nii.gz",
            "truth": place / f"{name}_post_mask.nii.gz",
        })  # fmt: skip
        last, truth = read.volumes["last"] > 0, read.volumes["truth"] > 0
        image = read.volumes["t1n"]
        for z in range(len(image)):
            if min(last[z].sum(), truth[z].sum()) < LEAST_PX:
                continue
            brain = image[z] > 0.15 * np.percentile(image[z], 99)
            speed = image_speed({"t1n": image[z]}, brain, last[z], spacing_mm=(1.0, 1.0),
                                spec=FrontSpec())  # fmt: skip
            none = np.zeros(brain.shape, bool)
            case = ForecastCase(name, last[z], truth[z], brain, none, (1.0, 1.0), speed)
            cases.append(replace(case.cropped(), patient=name))
    return cases

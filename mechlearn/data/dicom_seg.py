"""Iso-probability contours as a DICOM segmentation; `mechlearn[dicom]`.

One segment a probability: the voxels that are tumour with at least this probability.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mechlearn
from mechlearn.data.model_grid import reorient_back
from mechlearn.extras import explained
from mechlearn.files import replacing

__all__ = ["write_contours"]

SAME_GRID_MM = 1e-2  # NIfTI keeps affines as float32
SERIES_NUMBER = 900


def write_contours(
    probability: np.ndarray,
    affine: np.ndarray,
    reference: Path,
    path: str | Path,
    *,
    levels: Sequence[float],
) -> Path:
    """Write masks of growing probability as one DICOM SEG of binary segments.

    Args:
        probability: growth map, (Z, H, W) in canonical order.
        affine: (4, 4), of the scan's file.
        reference: folder of the DICOM series whose voxel grid the map lies on.
        path: ends in .dcm; folders are made.
        levels: probabilities in (0, 1], a segment each.

    Raises:
        ValueError: the series is no volume or lies on another voxel grid.
        ModuleNotFoundError: the extra is not installed.
    """
    with explained():
        import highdicom as hd
        import pydicom
    logging.getLogger("highdicom").setLevel(logging.WARNING)  # a line an attribute otherwise
    files = [pydicom.dcmread(p) for p in sorted(reference.rglob("*")) if p.is_file()]
    images = [d for d in files if "PixelData" in d and d.get("Modality") != "SEG"]
    if not images:
        raise ValueError(f"{reference}: holds no DICOM image. Give the folder of a series.")
    masks = np.stack([reorient_back(probability >= level, affine) for level in levels], axis=-1)
    number: Any = {"SegmentNumber": list(range(1, len(levels) + 1))}
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    volume = hd.Volume(masks.astype(np.uint8), to_lps @ affine, "PATIENT",
                       images[0].FrameOfReferenceUID, number)  # fmt: skip
    try:
        grid = hd.get_volume_from_series(images).get_geometry()
        volume = volume.match_geometry(grid, tol=SAME_GRID_MM)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{reference}: the growth map lies on another voxel grid ({error}). Give the series "
            "that the last visit's images come from."
        ) from error
    made = hd.seg.Segmentation(
        images, volume, "BINARY", [_segment(k, level) for k, level in enumerate(levels, 1)],
        hd.UID(), SERIES_NUMBER, hd.UID(), 1, "mechlearn", "mechlearn", mechlearn.__version__, "0",
        content_description="Research only: forecast tumour by probability",
        content_label="FORECAST",
        series_description="mechlearn forecast, research only",
    )  # fmt: skip
    with replacing(Path(path)) as partial:
        made.save_as(partial)
    return Path(path)


def _segment(number: int, level: float) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(
        number, f"tumour with probability of at least {level:.0%}",
        codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, "AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            "mechlearn growth map", codes.DCM.ArtificialIntelligence, mechlearn.__version__
        ),
    )  # fmt: skip

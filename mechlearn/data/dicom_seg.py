"""Iso-probability contours as a DICOM segmentation; `mechlearn[dicom]`.

One segment a probability: the voxels that are tumour with at least this probability.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mechlearn
from mechlearn.data.dicom_series import headers_by_series
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
        reference: folder of the DICOM series whose voxel grid the map lies on; of several series
            the first one on that grid.
        path: ends in .dcm; folders are made.
        levels: probabilities in (0, 1], a segment each.

    Raises:
        ValueError: the series is no volume or lies on another voxel grid.
        ModuleNotFoundError: the extra is not installed.
    """
    with explained():
        import highdicom as hd
    logging.getLogger("highdicom").setLevel(logging.WARNING)  # a line an attribute otherwise
    masks = np.stack([reorient_back(probability >= level, affine) for level in levels], axis=-1)
    number: Any = {"SegmentNumber": list(range(1, len(levels) + 1))}
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    images, grid = _series_on(reference, hd.VolumeGeometry(to_lps, masks.shape[:3], "PATIENT"))
    volume = hd.Volume(masks.astype(np.uint8), to_lps, "PATIENT", grid.frame_of_reference_uid,
                       number).match_geometry(grid, tol=SAME_GRID_MM)  # fmt: skip
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # of names in the source
        made = hd.seg.Segmentation(
            images, volume, "BINARY", [_segment(k, level) for k, level in enumerate(levels, 1)],
            hd.UID(), SERIES_NUMBER, hd.UID(), 1, "mechlearn", "mechlearn", mechlearn.__version__,
            "0", content_description="Research only: forecast tumour by probability",
            content_label="FORECAST",
            series_description="mechlearn forecast, research only",
        )  # fmt: skip
    with replacing(Path(path)) as partial:
        made.save_as(partial)
    return Path(path)


def _series_on(folder: Path, wanted: Any) -> tuple[list[Any], Any]:
    """(datasets without pixels, geometry) of the first series on the grid, in any axis order.

    Pixels are not read: their compression may need a decoder that is not installed.
    """
    import pydicom

    why = "no DICOM image"
    for series in headers_by_series(folder).values():
        if {str(header.get("Modality")) for _, header in series} != {"MR"}:
            continue
        images = [pydicom.dcmread(path, stop_before_pixels=True) for path, _ in series]
        try:
            grid = _geometry(images)
            wanted.match_geometry(grid, tol=SAME_GRID_MM)
            return images, grid
        except (AttributeError, RuntimeError, ValueError) as error:
            why = str(error)
    raise ValueError(
        f"{folder}: holds no series on the voxel grid of the growth map ({why}). Give the series "
        "that the last visit's images come from."
    )


def _geometry(images: Sequence[Any]) -> Any:
    """Voxel grid of a series: of one multi-frame image, or of an image a slice."""
    import highdicom as hd

    first = images[0]
    if "PerFrameFunctionalGroupsSequence" in first:
        grid = hd.Image.from_dataset(first, copy=False).get_volume_geometry()
        if grid is None:
            raise ValueError("the frames are no volume")
        shared, frame = (first[f"{k}FunctionalGroupsSequence"][0] for k in ("Shared", "PerFrame"))
        for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if name in frame:  # of a volume they are equal in all frames; highdicom reads `shared`
                shared[name] = frame[name]
        return grid
    gap, order = hd.spatial.get_series_volume_positions(images)
    if gap is None or order is None:
        raise ValueError("the slices are not evenly spaced")
    return hd.VolumeGeometry.from_attributes(
        image_position=images[order.index(0)].ImagePositionPatient,
        image_orientation=first.ImageOrientationPatient, rows=first.Rows, columns=first.Columns,
        pixel_spacing=first.PixelSpacing, spacing_between_slices=gap,
        number_of_frames=len(images), coordinate_system="PATIENT",
        frame_of_reference_uid=first.FrameOfReferenceUID,
    )  # fmt: skip


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

"""What the headers of DICOM files say of a series: whether its slices make one volume."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.extras import explained

__all__ = ["headers_by_series", "not_a_volume"]

TAGS = ("Modality", "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "ImagePositionPatient",
        "ImageOrientationPatient", "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence")  # fmt: skip
SAME_DIRECTION = 1e-2  # of direction cosines
SAME_PLACE_MM = 1e-2
UNEVEN = 1.1  # largest gap between neighbouring slices over the smallest


def headers_by_series(folder: Path) -> Mapping[str, Sequence[tuple[Path, Any]]]:
    """(file, header without pixels) of every DICOM file of a folder, by series instance UID.

    Raises:
        ModuleNotFoundError: the extra `mechlearn[dicom]` is not installed.
    """
    with explained():
        import pydicom
    found: dict[str, list[tuple[Path, Any]]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            with warnings.catch_warnings(action="ignore"):
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
        except (pydicom.errors.InvalidDicomError, EOFError, NotImplementedError, ValueError):
            continue  # a table, a viewer's program, a damaged file; dcm2niix names the last
        if "SOPInstanceUID" in header:  # a DICOMDIR has none
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, header))
    return found


def not_a_volume(headers: Sequence[Any]) -> str | None:
    """Why the files of one series are no MR volume of parallel, evenly spaced slices; None: are.

    Repeated places are not looked at: echoes and time points give a 4D file.
    """
    kinds = {str(h.get("Modality", "")) for h in headers}
    if kinds != {"MR"}:
        return f"its modality is {' and '.join(sorted(kinds)) or 'unknown'}, not MR"
    if any("MOSAIC" in (h.get("ImageType") or ()) for h in headers):
        return None  # a file holds all slices, at places that the vendor's own fields give
    planes = [plane for header in headers for plane in _planes(header)]
    if not planes:
        return "its slices have no place in space (a screen shot?)"
    directions = np.array([p[:6] for p in planes], float)
    if np.abs(directions - directions[0]).max() > SAME_DIRECTION:
        return "its slices are not parallel (a localizer?)"
    normal = np.cross(directions[0, :3], directions[0, 3:])
    along = np.sort(np.array([p[6:] for p in planes], float) @ normal)
    gaps = np.diff(along)
    gaps = gaps[gaps > SAME_PLACE_MM]
    if not gaps.size:
        return "it has one slice"
    if gaps.max() > UNEVEN * gaps.min():
        return (
            f"its slices are {gaps.min():.1f} to {gaps.max():.1f} mm apart (slices are missing, or "
            "several stacks stand in one series)"
        )
    return None


def _planes(header: Any) -> Iterator[tuple[float, ...]]:
    """Direction cosines (6) and position (3, mm) of every frame that has both."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [{}])[0]
    for frame in header.get("PerFrameFunctionalGroupsSequence") or [header]:
        parts = [*_sequence(frame, shared, "PlaneOrientationSequence"),
                 *_sequence(frame, shared, "PlanePositionSequence"), header]  # fmt: skip
        turned, placed = (next((part.get(k) for part in parts if part.get(k)), None)
                          for k in ("ImageOrientationPatient", "ImagePositionPatient"))
        if turned and placed:
            yield (*map(float, turned), *map(float, placed))


def _sequence(frame: Any, shared: Any, name: str) -> Sequence[Any]:
    found: Sequence[Any] = frame.get(name) or shared.get(name) or ()
    return found

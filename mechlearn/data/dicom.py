"""DICOM series -> NIfTI by dcm2niix, and DICOM segmentations by highdicom; `mechlearn[dicom]`.

World coordinates are kept; nothing is resampled, aligned or skull-stripped.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation, ornt_transform

from mechlearn.data.dicom_series import headers_by_series, not_a_volume
from mechlearn.data.nifti_input import open_volume
from mechlearn.extras import explained
from mechlearn.records import CONTRASTS, Patient

__all__ = ["Converted", "convert_folder", "convert_patient", "convert_series", "holds_dicom"]

log = logging.getLogger(__name__)
FIRST_FILES = 50  # that are looked into for DICOM
SAME_GRID_MM = 1e-2  # between a segmentation and its scan: NIfTI keeps affines as float32
AGENT = r"(?:gd|gad|post|contrast|\+c|\bce\b|\bkm\b)"
WORDS = {  # of series descriptions, in the order in which they are tried
    "t2f": r"flair|dark.?fluid|tirm",
    "t1c": rf"t1.*{AGENT}|{AGENT}.*t1|t1ce|t1c\b",
    "t2w": r"t2",
    "t1n": r"t1|mprage|bravo|spgr",
}  # fmt: skip
HARMLESS = "Patient Position|manufacturer|Instance Number"  # notes of dcm2niix
MADE_UP = r"_(Eq|Tilt|ROI)"  # what dcm2niix interpolates or cuts out beside the series itself
OTHER = r"adc|dwi|diff|swi|perf|t2\*|t2star|localizer|scout|survey|subtract"


@dataclass(frozen=True)
class Converted:
    """A patient whose files are NIfTI now.

    series: converted file -> folder of the DICOM series that it comes from.
    """

    patient: Patient
    series: Mapping[Path, Path] = field(default_factory=dict)


def holds_dicom(folder: Path) -> bool:
    """Whether a file in the folder or below it has the mark of DICOM behind its preamble."""
    for path in islice((p for p in sorted(folder.rglob("*")) if p.is_file()), FIRST_FILES):
        with path.open("rb") as stream:
            stream.seek(128)
            if stream.read(4) == b"DICM":
                return True
    return False


def convert_patient(patient: Patient, out: Path) -> Converted:
    """Convert every image and segmentation of a patient that is a folder of one DICOM series.

    Args:
        patient: visits whose `images`, `seg` and `brain_mask` are NIfTI files or folders.
        out: folder for SESSION-CONTRAST.nii.gz.

    Raises:
        ValueError: a folder without DICOM, or with more than one series.
        ModuleNotFoundError: the extra is not installed.
    """
    series: dict[Path, Path] = {}

    def file_of(source: Path, name: str) -> Path:
        if not source.is_dir():
            return source
        made = out / f"{name}.nii.gz"
        convert_series(source, made)
        series[made] = source
        return made

    visits = []
    for visit in patient.visits:
        images = {c: file_of(p, f"{visit.session}-{c}") for c, p in visit.images.items()}
        scan = next((path for path in images.values() if path in series), None)
        seg, mask = visit.seg, visit.brain_mask
        if seg is not None and seg.is_dir():
            seg = _labels(seg, scan, out / f"{visit.session}-seg.nii.gz")
        elif seg is not None and scan is not None and not visit.masks:
            seg = _reordered(seg, scan, out / f"{visit.session}-seg.nii.gz")
        if mask is not None and mask.is_file() and scan is not None:
            mask = _reordered(mask, scan, out / f"{visit.session}-brain_mask.nii.gz")
        visits.append(replace(visit, images=images, seg=seg, brain_mask=mask))
    return Converted(replace(patient, visits=tuple(visits)), series)


def convert_series(folder: Path, path: Path) -> Path:
    """Write one DICOM series as NIfTI; says so in the log.

    Raises:
        ValueError: no DICOM, several series, one that dcm2niix cannot convert, or one whose slices
            are no volume: `dicom_series.not_a_volume`.
    """
    with tempfile.TemporaryDirectory() as place:
        found, _ = _dcm2niix(folder, Path(place))
        if len(found) != 1:
            names = ", ".join(sorted(_description(f) or f.name for f in found))
            raise ValueError(
                f"{folder}: holds {len(found)} DICOM series or parts ({names}). Give the folder of "
                "one whole series."
            )
        _refuse(found[0], folder, headers_by_series(folder))
        _keep(found[0], path, folder)
    return path


def convert_folder(folder: Path, out: Path) -> Mapping[Path, Path]:
    """Convert the DICOM of one visit: contrasts are told by their series descriptions.

    Writes t1n, t1c, t2w, t2f and, from a DICOM SEG, seg.nii.gz into `out`.

    Returns:
        Converted file -> source.

    Raises:
        ValueError: a contrast that no series, or more than one, seems to be, or whose slices are
            no volume; no segmentation.
    """
    chosen: dict[Path, Path] = {}
    with tempfile.TemporaryDirectory() as place:
        found, said = _dcm2niix(folder, Path(place))
        told = {path: _description(path) for path in found}
        named = {c: [p for p, words in told.items() if _contrast(words) == c] for c in CONTRASTS}
        wrong = [
            f"{c}: " + (" and ".join(told[p] for p in paths) or "none")
            for c, paths in named.items() if len(paths) != 1
        ]  # fmt: skip
        if wrong:
            raise ValueError(
                f"{folder}: one series a contrast is needed, found for {'; '.join(wrong)} (of: "
                f"{', '.join(sorted(filter(None, told.values())))}{said}). Give a table of visits "
                "whose cells name the folder of each series; see docs/own-data.md."
            )
        headers = headers_by_series(folder)
        for contrast, (path,) in named.items():
            _refuse(path, folder, headers)
            chosen[_keep(path, out / f"{contrast}.nii.gz", folder)] = folder
    _labels(folder, out / "t2f.nii.gz", out / "seg.nii.gz")
    return chosen


def _contrast(words: str) -> str | None:
    lower = words.lower()
    if re.search(OTHER, lower):
        return None
    return next((c for c, pattern in WORDS.items() if re.search(pattern, lower)), None)


def _dcm2niix(folder: Path, out: Path) -> tuple[list[Path], str]:
    """NIfTI files of all series of a folder, each with its JSON; and the last complaint."""
    with explained():
        import dcm2niix
    given = ["-z", "y", "-b", "y", "-ba", "y", "-m", "y", "-d", "9", "-w", "2"]
    command = [dcm2niix.bin, *given, "-f", "%s_%j", "-o", str(out), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    faults = [line for line in lines if re.search("error|warning|not valid", line, re.IGNORECASE)
              and not re.search(HARMLESS, line)]  # fmt: skip
    said = f"; dcm2niix: {faults[-1]}" if faults and done.returncode else ""
    found = sorted(p for p in out.glob("*.nii.gz") if not re.search(MADE_UP, p.name))
    if not found:
        raise ValueError(f"{folder}: dcm2niix found no image series{said}. Give the folder of a "
                         "DICOM series.")  # fmt: skip
    return found, said


def _refuse(path: Path, folder: Path, headers: Mapping[str, Sequence[tuple[Path, Any]]]) -> None:
    """Refuse a converted series whose slices make no volume."""
    uid = path.name.partition("_")[2].removesuffix(".nii.gz").partition("_")[0]
    series = headers.get(uid) or [pair for found in headers.values() for pair in found]
    why = not_a_volume([header for _, header in series])
    shape = nib.Nifti1Image.from_filename(path).shape
    if why is None and len(shape) != 3:
        why = f"it has {shape[3]} images of each slice (echoes, time points or directions)"
    if why is not None:
        raise ValueError(
            f"{folder}: series {_description(path) or path.name}: {why}. Give a series of one MR "
            "volume, complete."
        )


def _card(path: Path) -> dict[str, Any]:
    card = path.with_name(path.name.removesuffix(".nii.gz") + ".json")
    found: dict[str, Any] = json.loads(card.read_text()) if card.is_file() else {}
    return found


def _description(path: Path) -> str:
    card = _card(path)
    return str(card.get("SeriesDescription") or card.get("ProtocolName") or "")


def _keep(made: Path, path: Path, source: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made, path)
    log.info("DICOM converted: %s (%s) -> %s", source, _description(made), path.name)
    return path


def _labels(folder: Path, scan: Path | None, path: Path) -> Path:
    """A DICOM SEG as labels on the grid of a scan: the label is the number of the segment."""
    with explained():
        import highdicom as hd
    found = [path for series in headers_by_series(folder).values() for path, header in series
             if header.get("Modality") == "SEG"]  # fmt: skip
    if len(found) != 1:
        raise ValueError(
            f"{folder}: holds {len(found)} DICOM segmentations, expected one. Segment the scan "
            "and give its labels as NIfTI or DICOM SEG."
        )
    segmentation = hd.seg.segread(found[0])
    volume = segmentation.get_volume(combine_segments=True, skip_overlap_checks=False)
    if scan is not None:
        try:
            grid = hd.Volume.from_nibabel(open_volume(scan))
            volume = volume.match_geometry(grid, tol=SAME_GRID_MM)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{found[0]}: lies on another voxel grid than {scan} ({error}). Segment the scan "
                "itself, or resample the labels."
            ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(volume.astype(np.uint8).to_nibabel(), path)
    log.info("DICOM converted: %s -> %s (labels are segment numbers)", found[0], path.name)
    return path


def _reordered(file: Path, scan: Path, path: Path) -> Path:
    """A NIfTI mask with its axes permuted and flipped to those of a converted scan.

    The mask itself where it lies as the scan does, or on another grid, which is refused later.
    """
    image, target = open_volume(file), open_volume(scan)
    order = ornt_transform(io_orientation(image.affine), io_orientation(target.affine))
    made = image.as_reoriented(order)
    same = made.shape == target.shape and np.allclose(
        made.affine, target.affine, atol=SAME_GRID_MM
    )
    if (order == np.array([[0, 1], [1, 1], [2, 1]])).all() or not same:
        return file
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(made, path)
    log.info("axes put in the order of the DICOM: %s -> %s", file, path.name)
    return path

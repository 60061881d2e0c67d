"""Rigid co-registration of a patient's scans by Greedy (Yushkevich 2016); `mechlearn[align]`.

    contrast -> reference contrast of its visit -> reference contrast of the first visit

Six degrees of freedom, normalised mutual information. Both steps are joined, so each file is
resampled once, onto the voxel grid of the first visit's reference contrast.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from mechlearn.data.day_cells import days_from_dates
from mechlearn.data.dicom import convert_series
from mechlearn.data.masks import join_masks, split_masks
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.tables import header_of, number, read_rows, write_rows
from mechlearn.extras import explained
from mechlearn.progress import tracked
from mechlearn.records import CONTRASTS

__all__ = [
    "REFERENCES",
    "SAME_GRID_MM",
    "Move",
    "align_table",
    "rigid_transform",
    "table_of_visits",
]

log = logging.getLogger(__name__)
REFERENCES = ("t1c", "t1n", "t2f", "t2w")  # the first one of these that a visit has
MASKS = ("seg", "brain_mask")
DAYS = ("day", "rt_start_day", "rt_end_day", "surgery_day")
STEPS = "100x50x10"  # iterations at a quarter, half and full resolution
SAME_GRID_MM = 0.01
MIDDLE_MM = 1e-3


@dataclass(frozen=True)
class Move:
    """How far a file was moved: at the centre of the reference, and turned about it."""

    patient: str
    session: str
    name: str
    shift_mm: float
    angle_degrees: float


def rigid_transform(fixed: nib.Nifti1Image, moving: nib.Nifti1Image) -> np.ndarray:
    """(4, 4), world mm (RAS+): place in `fixed` -> place in `moving`.

    Raises:
        ModuleNotFoundError: the extra is not installed.
    """
    with explained():
        import SimpleITK as sitk
        from picsl_greedy import Greedy3D

    def itk(image: nib.Nifti1Image) -> Any:
        values = np.asarray(image.dataobj, np.float32)
        made = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
        spacing = nib.affines.voxel_sizes(image.affine)
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
        made.SetSpacing(spacing.tolist())
        made.SetOrigin(lps[:3, 3].tolist())
        made.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        return made

    threads = os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count() or 1)
    greedy = Greedy3D()
    with _quiet():
        greedy.execute(
            f"-i fixed moving -a -dof 6 -m NMI -n {STEPS} -ia-image-centers -o matrix -V 0 "
            f"-threads {threads}",
            out=(said := io.StringIO()), err=said, fixed=itk(fixed), moving=itk(moving),
            matrix=None,
        )  # fmt: skip
    return np.asarray(greedy["matrix"], float)


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what compiled code prints: Greedy's optimiser reports the end of a step as an error."""
    kept = {fd: os.dup(fd) for fd in (1, 2)}
    try:
        with open(os.devnull, "w") as nothing:
            for fd in kept:
                os.dup2(nothing.fileno(), fd)
        yield
    finally:
        for fd, copy in kept.items():
            os.dup2(copy, fd)
            os.close(copy)


def align_table(path: str | Path, out: str | Path) -> tuple[Path, list[Move]]:
    """Co-register all visits of a table and write the table of the aligned files.

    Args:
        path: CSV with patient, session, day and a column a contrast, as a manifest; `seg` and
            `brain_mask` may be there and are moved with the contrast on whose grid they lie. Cells
            name NIfTI files or folders of DICOM series. All other columns are kept.
        out: folder for PATIENT/SESSION-NAME.nii.gz, visits.csv and alignment.csv.

    Returns:
        The new table, and how far each file was moved.

    Raises:
        FileNotFoundError: no such table or file.
        ValueError: a row without an image, a visit without a day among several, or a mask on the
            grid of no contrast of its visit.
    """
    path, out = Path(path).expanduser(), Path(out).expanduser()
    rows = table_of_visits(path)
    first: dict[str, nib.Nifti1Image] = {}
    moves: list[Move] = []
    done: dict[int, dict[str, str]] = {}
    for k in tracked(_order(rows), "aligning visits", log=log):
        where, cells = rows[k]
        done[k] = _visit(where, cells, path.parent, out, first, moves)
    table = write_rows(out / "visits.csv", header_of(path), [done[k] for k in sorted(done)])
    names = ("patient", "session", "name", "shift_mm", "angle_degrees")
    write_rows(out / "alignment.csv", names, [
        {n: f"{v:.2f}" if isinstance(v := getattr(m, n), float) else v for n in names}
        for m in moves
    ])  # fmt: skip
    return table, moves


def table_of_visits(path: Path) -> list[tuple[str, dict[str, str]]]:
    """(where an error names it, cells) of each row; dates as days since the first visit.

    Raises:
        FileNotFoundError: no such table.
        ValueError: a missing column, or no row.
    """
    def missing(header: Sequence[str]) -> list[str]:
        lacking = [c for c in ("patient", "session") if c not in header]
        return lacking + ([] if set(CONTRASTS) & set(header) else ["a contrast"])

    rows = read_rows(path, what="table of visits", columns=None, missing=missing)
    if not rows:
        raise ValueError(f"{path}: no visit below the header. Write one row a visit.")
    return days_from_dates(path, rows, [c for c in DAYS if c in header_of(path)])


def _order(rows: Sequence[tuple[str, Mapping[str, str]]]) -> list[int]:
    """Rows by patient and day."""
    def key(k: int) -> tuple[str, float]:
        where, cells = rows[k]
        day = number(where, "day", cells.get("day", ""))
        others = [c for _, c in rows if c["patient"] == cells["patient"]]
        if day is None and len(others) > 1:
            raise ValueError(f"{where}: day is empty; the patient has {len(others)} visits, and "
                             "the first one sets the grid. Fill it in.")  # fmt: skip
        return cells["patient"], day or 0.0

    return sorted(range(len(rows)), key=key)


def _visit(where: str, cells: Mapping[str, str], home: Path, out: Path,
           first: dict[str, nib.Nifti1Image], moves: list[Move]) -> dict[str, str]:  # fmt: skip
    """Align one row; returns it with the new paths."""
    patient, session = cells["patient"], cells["session"]

    def read(name: str, text: str) -> nib.Nifti1Image:
        source = home / text
        if source.is_dir():
            source = convert_series(source, out / patient / "dicom" / f"{session}-{name}.nii.gz")
        return open_volume(source)

    images = {c: read(c, cells[c]) for c in CONTRASTS if cells.get(c)}
    if not images:
        raise ValueError(f"{where}: no image; an alignment needs one or more. Fill them in.")
    reference = next(c for c in REFERENCES if c in images)
    grid = first.setdefault(patient, images[reference])
    to_visit = np.eye(4) if grid is images[reference] else rigid_transform(grid, images[reference])
    matrices = {
        c: to_visit if c == reference else rigid_transform(images[reference], image) @ to_visit
        for c, image in images.items()
    }
    made = dict(cells)

    def write(name: str, image: nib.Nifti1Image, matrix: np.ndarray, *, labels: bool) -> str:
        file = Path(patient) / f"{session}-{name}.nii.gz"
        (out / patient).mkdir(parents=True, exist_ok=True)
        nib.save(_resampled(image, grid, matrix, labels=labels), out / file)
        moves.append(_move(patient, session, name, matrix, grid))
        return str(file)

    for c, image in images.items():
        made[c] = write(c, image, matrices[c], labels=False)
    for column in MASKS:
        if not cells.get(column):
            continue
        parts = split_masks(cells[column]) or {0: cells[column]}
        files = {}
        for label, text in parts.items():
            image = read(column, text)
            matrix = _of_its_grid(where, column, image, images, matrices)
            files[label] = write(f"{column}{label or ''}", image, matrix, labels=True)
        made[column] = files[0] if 0 in parts else join_masks(files)
    return made


def _of_its_grid(where: str, column: str, mask: nib.Nifti1Image,
                 images: Mapping[str, nib.Nifti1Image], matrices: Mapping[str, np.ndarray]
                 ) -> np.ndarray:  # fmt: skip
    """The matrix of the contrast on whose voxel grid a mask lies."""
    for c in REFERENCES:
        same = c in images and mask.shape == images[c].shape
        if same and np.allclose(mask.affine, images[c].affine, atol=SAME_GRID_MM):
            return matrices[c]
    raise ValueError(
        f"{where}: {column} has shape {mask.shape} and lies on the voxel grid of none of "
        f"{', '.join(images)}. Give the mask on the grid of the contrast that it was drawn on."
    )


def _resampled(image: nib.Nifti1Image, grid: nib.Nifti1Image, matrix: np.ndarray, *,
               labels: bool) -> nib.Nifti1Image:  # fmt: skip
    to_voxel = np.linalg.inv(image.affine) @ matrix @ grid.affine
    values = np.asarray(image.dataobj)
    if not labels:
        values = values.astype(np.float32)
    if image.shape == grid.shape and np.allclose(to_voxel, np.eye(4), atol=MIDDLE_MM):
        moved = values
    else:
        moved = ndimage.affine_transform(
            values, to_voxel[:3, :3], to_voxel[:3, 3], grid.shape, order=0 if labels else 1
        )
    return nib.Nifti1Image(moved, grid.affine)


def _move(patient: str, session: str, name: str, matrix: np.ndarray, grid: nib.Nifti1Image
          ) -> Move:  # fmt: skip
    centre = grid.affine @ np.append((np.array(grid.shape[:3]) - 1) / 2, 1)
    shift = float(np.linalg.norm((matrix @ centre - centre)[:3]))
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    return Move(patient, session, name, shift, float(np.degrees(np.arccos(cosine))))

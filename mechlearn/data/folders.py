"""A patient's visits -> folders of the slice store, each of them there whole or not at all."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.filebasedimages import ImageFileError

from mechlearn.data.labels import whole_tumour
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.slices import NAME, write_slice_file
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.volumes import PreparedVisit, prepare_visit
from mechlearn.files import read_json, replace_folder, write_json
from mechlearn.spatial.intensity import BACKGROUND

__all__ = ["all_finished", "prepare_patient", "remove_visits"]

BAD_CASE = (ValueError, OSError, EOFError, zlib.error, ImageFileError)


def all_finished(records: Sequence[VisitRecord], root: Path) -> bool:
    """True if all outputs of this patient exist. What cannot be read is left to the workers."""
    offset: tuple[int, int] | None = None
    try:
        for record in records:
            done = _finished(_folder(root, record), _source(record), offset)
            if done is None:
                return False
            offset = offset or (int(done["offset"][0]), int(done["offset"][1]))
    except BAD_CASE:
        return False
    return True


def remove_visits(names: Iterable[str], root: Path, scratch: Path) -> int:
    """Take visits PATIENT/SESSION out of the store, each at once; returns how many were there."""
    there = [folder for name in names if (folder := root / "visits" / name).is_dir()]
    for folder in there:
        os.replace(folder, Path(tempfile.mkdtemp(dir=scratch)) / folder.name)
        if not any(folder.parent.iterdir()):
            folder.parent.rmdir()
    return len(there)


def _folder(root: Path, record: VisitRecord) -> Path:
    return root / "visits" / record.patient / record.session


def prepare_patient(
    records: Sequence[VisitRecord], root: Path, scratch: Path, spec: PrepareSpec
) -> dict[str, str]:
    """A patient's visits in order; the first good one says where the grid lies for all."""
    bad: dict[str, str] = {}
    offset: tuple[int, int] | None = None
    for record in records:
        folder = _folder(root, record)
        try:
            source = _source(record)
            done = _finished(folder, source, offset)
            if done is None:
                visit = _filled(record, spec, offset)
                done = _write(visit, source, folder, scratch, spec.contrasts)
            offset = offset or (int(done["offset"][0]), int(done["offset"][1]))
        except BAD_CASE as error:
            text = str(error)
            bad[record.name] = text if record.name in text else f"visit {record.name}: {text}"
        except Exception as error:
            error.add_note(f"while preparing visit {record.name}, {record.seg.parent}")
            raise
    return bad


def _filled(
    record: VisitRecord, spec: PrepareSpec, offset: tuple[int, int] | None
) -> PreparedVisit:
    """The visit on the grid; where `spec.missing` is fill, its missing contrasts are background
    and its intensity scale knows the others alone."""
    there = [c for c in spec.contrasts if c in record.images]
    if spec.missing == "refuse" or not there or len(there) == len(spec.contrasts):
        return prepare_visit(record, spec, offset=offset)
    known = prepare_visit(record, replace(spec, contrasts=tuple(there)), offset=offset)
    count, _, height, width = known.images.shape
    images = np.full((count, len(spec.contrasts), height, width), BACKGROUND, np.float16)
    images[:, [spec.contrasts.index(c) for c in there]] = known.images
    return replace(known, images=images)


def _source(record: VisitRecord) -> dict[str, Any]:
    """The record with size and time of its files: when it changes the visit is done again."""
    stats = {key: path.stat() for key, path in record.files().items()}
    files = {key: [s.st_size, s.st_mtime_ns] for key, s in stats.items()}
    return {"record": record.as_dict(), "files": files}


def _finished(
    folder: Path, source: Mapping[str, Any], offset: tuple[int, int] | None
) -> dict[str, Any] | None:
    """Grid of a visit that is in the store and up to date, or None."""
    path = folder / "visit.json"
    if not path.is_file():
        return None
    try:
        card = read_json(path, digest=True)
    except ValueError:  # a machine that lost power can leave an empty file: it is made again
        return None
    grid: dict[str, Any] = card["grid"]
    same = all(card.get(key) == value for key, value in source.items())
    return grid if same and offset in (None, tuple(grid["offset"])) else None


def _write(
    visit: PreparedVisit,
    source: Mapping[str, Any],
    folder: Path,
    scratch: Path,
    contrasts: Sequence[str],
) -> dict[str, Any]:
    """Write a visit beside the store and move it in; returns its grid."""
    partial = Path(tempfile.mkdtemp(dir=scratch))
    partial.chmod(0o755)
    write_slice_file(partial / NAME, visit.images, visit.labels, visit.brain)
    grid = visit.placement.as_dict()
    tumour = whole_tumour(visit.labels)
    card = {
        **source,
        "contrasts": list(contrasts),
        "grid": grid,
        "intensity": visit.intensity.as_dict(),
        "slices": {
            "z": list(visit.zs),
            "brain_px": visit.brain.sum((1, 2)).tolist(),
            "tumour_px": tumour.sum((1, 2)).tolist(),
        },
    }
    write_json(partial / "visit.json", card, indent=None, digest=True)
    replace_folder(partial, folder)
    return grid

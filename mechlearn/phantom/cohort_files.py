"""Write a phantom cohort: NIfTI in BraTS 2023 layout, days, radiotherapy, and the true parameters.

    root/MLP-GLI-00001-000/MLP-GLI-00001-000-{t1n,t1c,t2w,t2f,seg}.nii.gz   one folder a visit
    root/truth/MLP-GLI-00001.json    parameters, course, volumes; written last
    root/manifest.csv, root/splits.json
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import time
from collections.abc import Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from mechlearn.checks import one_of, positive
from mechlearn.data.manifest import VisitRecord, write_manifest
from mechlearn.files import write_json
from mechlearn.phantom.fields import Grid
from mechlearn.phantom.phantom_patient import each_patient, simulate
from mechlearn.phantom.phantom_spec import SPLITS, PatientKey, PhantomSpec
from mechlearn.records import CONTRASTS

__all__ = ["write_cohort", "write_patient"]

log = logging.getLogger(__name__)


def write_cohort(
    root: str | Path,
    spec: PhantomSpec,
    *,
    patients: Collection[str] | None = None,
    splits: Collection[str] | None = None,
    workers: int = 1,
) -> Path:
    """Write the cohort (or some patients or splits of it); return its manifest.csv.

    Finished patients are not written again, so a stopped run can be resumed. The manifest lists all
    finished patients under `root`.

    Raises:
        ValueError: an unknown patient or split name, or a root written from another spec.
    """
    root = Path(root)
    positive("workers", workers)
    keys = _chosen(spec, patients, splits)
    (root / "truth").mkdir(parents=True, exist_ok=True)
    _check_same_spec(root, spec)
    todo = [key for key in keys if not _truth_path(root, key).exists()]
    start = time.monotonic()
    written = each_patient(partial(write_patient, root, spec), todo, workers=workers)
    for n, (key, seconds) in enumerate(written, 1):
        left = (time.monotonic() - start) / n * (len(todo) - n)
        log.info("phantom %s written in %.1f s (%d of %d, %.0f s to go)",
                 key.name, seconds, n, len(todo), left)
    return _write_index(root)


def _chosen(
    spec: PhantomSpec, patients: Collection[str] | None, splits: Collection[str] | None
) -> list[PatientKey]:
    for split in splits or ():
        one_of("phantom.splits", split, SPLITS)
    keys = [key for key in spec.patients() if splits is None or key.split in splits]
    if patients is None:
        return keys
    known = {key.name: key for key in keys}
    for name in patients:
        if name not in known:
            raise ValueError(
                f"phantom patient {name!r} is not in this cohort of {len(known)} "
                f"({next(iter(known), 'none')} ...). List names with PhantomSpec().patients()."
            )
    return [known[name] for name in dict.fromkeys(patients)]


def _check_same_spec(root: Path, spec: PhantomSpec) -> None:
    """ValueError if the folder was written with other settings of the random patients."""
    path = root / "truth" / "spec.json"
    mine = json.loads(json.dumps(asdict(spec)))
    if path.exists():
        theirs = json.loads(path.read_text())
        for key in ("seed", "voxel_mm", "dmg_share", "train_visits", "test_visits"):
            if theirs.get(key) != mine[key]:
                raise ValueError(
                    f"{path}: written with {key}={theirs.get(key)!r}, but the setting is "
                    f"{mine[key]!r}. Use another folder or remove this one."
                )
    write_json(path, mine)


@torch.no_grad()
def write_patient(root: Path, spec: PhantomSpec, key: PatientKey) -> float:
    """Simulate one patient and write its files atomically; returns the time in seconds."""
    start = time.monotonic()
    patient = simulate(spec, key)
    scratch = root / f".writing-{key.name}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    written: list[dict[str, Any]] = []
    for visit in patient.visits:
        session, seg = visit.session, visit.labels
        _write_visit(scratch / session, session, (*patient.paint(visit), seg), patient.grid)
        if spec.keep_density:
            np.savez_compressed(scratch / session / "density.npz", density=visit.density)
        volumes = [float((seg == label).sum()) * spec.voxel_mm**3 / 1000 for label in (1, 2, 3)]
        written.append({"session": session, "day": visit.day, "core_oedema_enhancing_cm3": volumes})
    for card in written:
        target = root / card["session"]
        shutil.rmtree(target, ignore_errors=True)  # from a run that was stopped between two renames
        (scratch / card["session"]).rename(target)
    scratch.rmdir()
    write_json(_truth_path(root, key), patient.truth | {"visits": written})
    return time.monotonic() - start


def _write_visit(
    folder: Path, session: str, volumes: tuple[np.ndarray, ...], grid: Grid
) -> None:
    folder.mkdir()
    for name, volume in zip((*CONTRASTS, "seg"), volumes, strict=True):
        _write_nifti(folder / f"{session}-{name}.nii.gz", volume, grid)


def _write_nifti(path: Path, volume: np.ndarray, grid: Grid) -> None:
    """Write a RAS volume on a part of the box as a LPS volume of 240 x 240 x 156 mm."""
    shape, where = grid.in_field()
    voxel_mm = grid.voxel_mm
    full = np.zeros(shape, volume.dtype)
    full[where] = volume
    affine = np.diag([-voxel_mm, -voxel_mm, voxel_mm, 1.0])
    affine[1, 3] = voxel_mm * (shape[1] - 1)
    image = nib.Nifti1Image(np.ascontiguousarray(full[::-1, ::-1]), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"mechlearn phantom on MNI152 anatomy"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(image.to_bytes())


def _record(root: Path, truth: dict[str, Any], visit: dict[str, Any]) -> VisitRecord:
    session, course = visit["session"], truth["course"]
    files = {name: root / session / f"{session}-{name}.nii.gz" for name in (*CONTRASTS, "seg")}
    seg = files.pop("seg")
    rt = {name: course[name] for name in ("rt_start_day", "rt_end_day", "dose_gy", "fractions")}
    return VisitRecord(truth["patient"], session, files, seg, "brats2023", visit["day"], **rt,
                       source="phantom")


def _write_index(root: Path) -> Path:
    """Write manifest.csv and splits.json of the finished patients."""
    truths = [json.loads(p.read_text()) for p in sorted((root / "truth").glob("MLP-*.json"))]
    truths.sort(key=lambda t: (SPLITS.index(t["split"]), t["patient"]))
    records = [_record(root, truth, visit) for truth in truths for visit in truth["visits"]]
    splits = {t["patient"]: t["split"] for t in truths}
    write_json(root / "splits.json", splits)
    return write_manifest(records, root / "manifest.csv")


def _truth_path(root: Path, key: PatientKey) -> Path:
    return root / "truth" / f"{key.name}.json"

"""Write a phantom cohort as BraTS-2023-layout NIfTI with dates, radiotherapy and known truth.

    root/MLP-GLI-00001-000/MLP-GLI-00001-000-{t1n,t1c,t2w,t2f,seg}.nii.gz   one folder a visit
    root/truth/MLP-GLI-00001.json    parameters, course, volumes; written last: "finished"
    root/manifest.csv, root/splits.json
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from mechlearn.checks import one_of, positive
from mechlearn.data.manifest import VisitRecord, write_manifest
from mechlearn.data.phantom.anatomy import Anatomy
from mechlearn.data.phantom.fields import Grid
from mechlearn.data.phantom.paint import Look
from mechlearn.data.phantom.spec import SPLITS, Course, PatientKey, PhantomSpec, TumourParameters
from mechlearn.data.phantom.tumour import Tumour, labels
from mechlearn.records import CONTRASTS

__all__ = ["write_cohort", "write_patient"]

log = logging.getLogger(__name__)

_FIELD_MM = (240.0, 240.0, 156.0)  # written field of view: BraTS' 240 x 240 (155) mm
_FATAL_CM3 = {"GLI": 220.0, "DMG": 80.0}  # no visit beyond it once a patient has the fewest visits
_PURPOSE = {"anatomy": 0, "look": 1, "tumour": 2, "course": 3, "growth": 4}


def write_cohort(
    root: str | Path,
    spec: PhantomSpec,
    *,
    patients: Collection[str] | None = None,
    splits: Collection[str] | None = None,
    workers: int = 1,
) -> Path:
    """Write the cohort (or the named patients, or splits, of it); return its manifest.csv.

    Finished patients are kept as they are, so a broken run goes on where it stopped. The manifest
    lists every finished patient under `root`.

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
    for n, (name, seconds) in enumerate(_write_all(root, spec, todo, workers), 1):
        left = (time.monotonic() - start) / n * (len(todo) - n)
        log.info("phantom %s written in %.1f s (%d of %d, %.0f s to go)",
                 name, seconds, n, len(todo), left)
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
    """One folder holds one cohort: what draws a patient may not change under way."""
    path = root / "truth" / "spec.json"
    mine = json.loads(json.dumps(asdict(spec)))
    if path.exists():
        theirs = json.loads(path.read_text())
        for key in ("seed", "voxel_mm", "dmg_share", "train_visits", "test_visits"):
            if theirs.get(key) != mine[key]:
                raise ValueError(
                    f"{path}: written with {key}={theirs.get(key)!r}, asked for {mine[key]!r}. "
                    "Use another folder or remove this one."
                )
    _write_text(path, json.dumps(mine, indent=1))


def _write_all(
    root: Path, spec: PhantomSpec, todo: list[PatientKey], workers: int
) -> Iterator[tuple[str, float]]:
    if workers == 1 or len(todo) < 2:
        for key in todo:
            yield key.name, write_patient(root, spec, key)
        return
    context = get_context("spawn")  # forking after torch has started threads may hang
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        jobs = {pool.submit(write_patient, root, spec, key): key for key in todo}
        for job in as_completed(jobs):
            yield jobs[job].name, job.result()


def _one_thread() -> None:
    torch.set_num_threads(1)


@torch.no_grad()
def write_patient(root: Path, spec: PhantomSpec, key: PatientKey) -> float:
    """Grow, paint and write one patient; return the seconds it took. All or nothing."""
    start = time.monotonic()
    truth, visits = _simulate(spec, key)
    scratch = root / f".writing-{key.name}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    written = []
    for session, day, images, seg, density, low in visits:
        _write_visit(scratch / session, session, (*images, seg), (spec.voxel_mm, low))
        if spec.keep_density:
            np.savez_compressed(scratch / session / "density.npz", density=density)
        volumes = [float((seg == label).sum()) * spec.voxel_mm**3 / 1000 for label in (1, 2, 3)]
        written.append({"session": session, "day": day, "core_oedema_enhancing_cm3": volumes})
    for visit in written:
        target = root / visit["session"]
        shutil.rmtree(target, ignore_errors=True)  # left by a run that broke between two renames
        (scratch / visit["session"]).rename(target)
    scratch.rmdir()
    _write_text(_truth_path(root, key), json.dumps(truth | {"visits": written}, indent=1))
    return time.monotonic() - start


def _simulate(spec: PhantomSpec, key: PatientKey) -> tuple[dict[str, Any], Iterable[tuple]]:
    """Truth of a patient and a stream of (session, day, images, labels, density, corner)."""
    rng = {name: key.rng(spec.seed, number) for name, number in _PURPOSE.items()}
    anatomy = Anatomy(rng["anatomy"], child=key.kind == "DMG")
    parameters = TumourParameters.draw(key.kind, rng["tumour"])
    count = fewest = spec.train_visits
    if key.split == "test":
        fewest = spec.test_visits[0]
        count = int(rng["course"].integers(spec.test_visits[0], spec.test_visits[1] + 1))
    course = Course.draw(key.kind, count, rng["course"])
    tumour = Tumour(anatomy, key.kind, parameters, rng["growth"])
    states = tumour.states(course)
    look, grid = Look(rng["look"]), Grid(spec.voxel_mm).crop(*anatomy.extent_mm())

    def visits() -> Iterator[tuple]:
        for number, state in enumerate(states):
            moved = tumour.displacement(state, grid)
            tissues = anatomy.tissues(grid, displacement=moved)
            maps = tumour.compartments(state, tissues, grid, moved)
            images = look.paint(tissues, maps, grid, visit=number, displacement=moved)
            session = f"{key.name}-{number:03d}"
            density = state.density.numpy().astype(np.float16)
            seg = labels(maps, tissues.brain)
            volume_cm3 = float((seg > 0).sum()) * spec.voxel_mm**3 / 1000
            if number >= fewest and volume_cm3 > _FATAL_CM3[key.kind]:
                return
            yield session, state.day, images, seg, density, grid.low

    spacing = tumour.grid.voxel_mm
    truth = {"patient": key.name, "split": key.split, "phantom": True,
             "parameters": asdict(parameters), "course": asdict(course),
             "seeds_mm": [[(i + 0.5) * spacing for i in seed] for seed in tumour.seeds]}
    return truth, visits()


def _write_visit(
    folder: Path, session: str, volumes: tuple[np.ndarray, ...],
    place: tuple[float, tuple[int, int, int]],
) -> None:
    folder.mkdir()
    for name, volume in zip((*CONTRASTS, "seg"), volumes, strict=True):
        _write_nifti(folder / f"{session}-{name}.nii.gz", volume, *place)


def _write_nifti(
    path: Path, volume: np.ndarray, voxel_mm: float, low: tuple[int, int, int]
) -> None:
    """RAS part of the box from voxel `low` on -> LPS volume of 240 x 240 x 156 mm, gzip level 1."""
    shape = [round(side / voxel_mm) for side in _FIELD_MM]
    full = np.zeros(shape, volume.dtype)
    margin = [(n - m) // 2 for n, m in zip(shape, Grid(voxel_mm).shape, strict=True)]
    where = tuple(slice(m + a, m + a + n)
                  for m, a, n in zip(margin, low, volume.shape, strict=True))
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
    """manifest.csv and splits.json from the finished patients."""
    truths = [json.loads(p.read_text()) for p in sorted((root / "truth").glob("MLP-*.json"))]
    truths.sort(key=lambda t: (SPLITS.index(t["split"]), t["patient"]))
    records = [_record(root, truth, visit) for truth in truths for visit in truth["visits"]]
    splits = {t["patient"]: t["split"] for t in truths}
    _write_text(root / "splits.json", json.dumps(splits, indent=1))
    return write_manifest(records, root / "manifest.csv")


def _truth_path(root: Path, key: PatientKey) -> Path:
    return root / "truth" / f"{key.name}.json"


def _write_text(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_text(text + "\n")
    part.replace(path)

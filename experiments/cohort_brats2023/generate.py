"""A cohort that looks like BraTS 2023 on disk, for trying programs at the size of the real one.

    python experiments/cohort_brats2023/generate.py FOLDER --patients 200 --workers 2

A few phantom patients are painted at 1 mm on 240 x 240 x 155 voxels; each patient of the cohort is
one of them with other intensities, noise, place and side. The same arguments give the same files.
Adults (GLI), children (PED) and adults of another scanner (SSA) lie in the folders of the
challenge. Nothing about tumours can be learnt from it.
"""

from __future__ import annotations

import argparse
import gzip
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from rich.progress import track

from mechlearn.phantom.phantom_patient import simulate
from mechlearn.phantom.phantom_spec import PatientKey, PhantomSpec
from mechlearn.records import CONTRASTS

FOLDERS = {
    kind: f"ASNR-MICCAI-BraTS2023-{kind}-Challenge-TrainingData" for kind in ("GLI", "PED", "SSA")
}
PAEDIATRIC, AFRICAN = 0.15, 0.05  # shares of the cohort
SHAPE = (240, 240, 155)
AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1.0, 0, 239], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
MOVED = 4  # voxels, at most, in the plane
PLACES = 2 * (2 * MOVED + 1) ** 2  # of a template: its side and its shift
NOISE = 0.01  # of the contrast's 99th percentile


def kinds(patients: int) -> list[str]:
    """GLI, PED or SSA of each patient, at least one each."""
    children, african = (max(1, round(share * patients)) for share in (PAEDIATRIC, AFRICAN))
    return ["GLI"] * (patients - children - african) + ["PED"] * children + ["SSA"] * african


@torch.no_grad()
def paint(job: tuple[PatientKey, Path]) -> None:
    """One template: contrasts (4, X, Y, Z) int16 and labels uint8, LPS."""
    torch.set_num_threads(1)
    key, path = job
    patient = simulate(PhantomSpec(voxel_mm=1.0, train_visits=1), key)
    visit = next(patient.visits)
    shape, where = patient.grid.in_field()
    volumes = np.zeros((5, *shape), np.int16)
    volumes[(slice(4), *where)] = patient.paint(visit)
    volumes[(4, *where)] = visit.labels
    lps = volumes[:, ::-1, ::-1, : SHAPE[2]]
    np.savez(path, images=np.ascontiguousarray(lps[:4]), labels=lps[4].astype(np.uint8))


def save(path: Path, volume: np.ndarray) -> None:
    image = nib.Nifti1Image(volume, AFFINE)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1, mtime=0))


def write_patient(job: tuple[int, str, Path, int, Path, int]) -> None:
    """One patient from its template, at a place that no other patient of the template has."""
    number, kind, template, place, root, seed = job
    rng = np.random.default_rng([seed, number])
    with np.load(template) as file:
        images, labels = file["images"], file["labels"]
    where = int(np.random.default_rng(seed).permutation(PLACES)[place])
    mirrored, where = bool(where % 2), where // 2
    shift = (where % (2 * MOVED + 1) - MOVED, where // (2 * MOVED + 1) - MOVED)
    case = f"BraTS-{kind}-{number:05d}-000"
    folder = root / FOLDERS[kind] / case
    folder.mkdir(parents=True, exist_ok=True)

    def placed(volume: np.ndarray) -> np.ndarray:
        turned = volume[::-1] if mirrored else volume
        return np.ascontiguousarray(np.roll(turned, shift, (0, 1)))

    for name, image in zip(CONTRASTS, images, strict=True):
        brain = image > 0
        bright = float(np.percentile(image[brain], 99))
        values = image[brain] * rng.uniform(0.4, 2.5) * (1 + 0.1 * rng.standard_normal())
        values += NOISE * bright * rng.standard_normal(values.size)
        volume = np.zeros(SHAPE, np.int16)
        volume[brain] = np.clip(np.rint(values), 1, 32767)
        save(folder / f"{case}-{name}.nii.gz", placed(volume))
    save(folder / f"{case}-seg.nii.gz", placed(labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    for name, value in (("patients", 200), ("templates", 6), ("workers", 2), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    if args.patients > PLACES * (args.templates - args.templates // 3):
        parser.error(f"--patients {args.patients}: more need more than {args.templates} templates")
    scratch = args.root / ".templates"
    scratch.mkdir(parents=True, exist_ok=True)
    keys = PhantomSpec().patients()
    children = max(1, args.templates // 3)
    chosen = [k for k in keys if k.kind == "GLI"][: args.templates - children]
    chosen += [k for k in keys if k.kind == "DMG"][:children]
    paths = [scratch / f"{key.name}.npz" for key in chosen]
    adult, young = paths[:-children], paths[-children:]
    jobs = []
    for number, kind in enumerate(kinds(args.patients)):
        pool = young if kind == "PED" else adult
        template, place = pool[number % len(pool)], number // len(pool)
        jobs.append((number, kind, template, place, args.root, args.seed))
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as workers:
        painted = workers.map(paint, zip(chosen, paths, strict=True))
        list(track(painted, "templates", total=len(paths)))
        list(track(workers.map(write_patient, jobs), "patients", total=len(jobs)))
    for path in paths:
        path.unlink()
    scratch.rmdir()


if __name__ == "__main__":
    main()

"""Write a simulated patient as NIfTI with a table of visits, to try the commands on.

    python examples/sample_patient.py sample           # 1.5 mm, axes as in BraTS
    python examples/sample_patient.py odd --clinical   # oblique, other axis order, 1 x 1 x 5 mm
"""

import argparse
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to

from mechlearn.data.manifest import read_manifest, write_manifest
from mechlearn.phantom.cohort_files import write_cohort
from mechlearn.phantom.phantom_spec import PhantomSpec

VISITS = 3  # of the patient's visits, the first ones


def clinical(path: Path) -> None:
    """Resample a file to sagittal-first axes, 5 x 1 x 1 mm, turned by 10 degrees about z."""
    image = nib.load(path)
    turn = np.deg2rad(10)
    axes = np.array([[-np.sin(turn), 0, np.cos(turn)], [np.cos(turn), 0, np.sin(turn)], [0, 1, 0]])
    spacing, shape = np.array([1.0, 1.0, 5.0]), np.array([230, 170, 42])
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing
    centre = image.affine @ np.append((np.array(image.shape) - 1) / 2, 1)
    affine[:3, 3] = centre[:3] - affine[:3, :3] @ ((shape - 1) / 2)
    order = 0 if path.name.endswith("-seg.nii.gz") else 1
    moved = resample_from_to(image, (tuple(shape), affine), order=order)
    moved.set_data_dtype(image.get_data_dtype())
    nib.save(moved, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--clinical", action="store_true")
    asked = parser.parse_args()
    spec = PhantomSpec(n_train=0, n_val=0, n_test=1)
    records = read_manifest(write_cohort(asked.out, spec))[:VISITS]
    if asked.clinical:
        for record in records:
            for path in (*record.images.values(), record.seg):
                clinical(path)
    sys.stdout.write(f"{write_manifest(records, asked.out / 'visits.csv')}\n")


if __name__ == "__main__":
    main()

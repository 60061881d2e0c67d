"""A model that is not ours: forecasts by dilation, in the folder layout that `score` reads.

    python dilation_model.py visits.csv my_dilation
    python -m mechlearn.score my_dilation --cases visits.csv

Nothing of mechlearn is imported: any program can write such a folder.
"""

import csv
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import distance_transform_edt

SPEED_MM_PER_DAY = 0.03


def main(table: Path, out: Path) -> None:
    with table.open(newline="") as stream:
        visits = sorted(csv.DictReader(stream), key=lambda v: (v["patient"], float(v["day"])))
    out.mkdir(parents=True, exist_ok=True)
    sizes = [("patient", "day", "median_mm3", "low_mm3", "high_mm3")]
    for last, held_out in zip(visits, visits[1:], strict=False):
        if last["patient"] != held_out["patient"]:
            continue
        days = float(held_out["day"]) - float(last["day"])
        image = nib.load(table.parent / last["seg"])
        spacing = image.header.get_zooms()
        tumour = np.asarray(image.dataobj) > 0
        distance = distance_transform_edt(~tumour, sampling=spacing)
        reach = SPEED_MM_PER_DAY * days
        probability = 1 / (1 + np.exp((distance - reach) / 1.5)) * (distance < 3 * reach + 5)
        folder = out / last["patient"]
        folder.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(probability.astype(np.float32), image.affine),
                 folder / f"{float(held_out['day']):g}.nii.gz")
        volume = float((probability >= 0.5).sum() * np.prod(spacing))
        sizes.append((last["patient"], held_out["day"], volume, 0.7 * volume, 1.6 * volume))
    with (out / "sizes.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(sizes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Where core and enhancing tumour go when the whole tumour grows: UCSF pairs, whole tumour given.

    python experiments/where_real/compartments.py OUT

Every way gets the labels of the first visit and the true whole tumour of the second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pairs import CAVITY, root
from rich.console import Console
from scipy import ndimage

from mechlearn.data.aligned_volumes import read_aligned
from mechlearn.evaluation.rows import write_table
from mechlearn.files import write_json
from mechlearn.metrics.distance import dice
from mechlearn.spatial.label_transport import CORE, ENHANCING, transported_labels
from mechlearn.spatial.regions import box_around

INNER = (0.0, 0.25, 0.5, 1.0)  # of `transported_labels`


def ways(labels: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """Label maps of the target by name: inner growth from none to full, and the nearest label."""
    room = np.ones(labels.shape, bool)
    made = {f"inner_{inner:g}": transported_labels(labels, target, room, inner=inner)
            for inner in INNER}  # fmt: skip
    present = (labels > 0) & (labels != CAVITY)
    nearest = ndimage.distance_transform_edt(~present, return_distances=False, return_indices=True)
    return made | {"nearest": np.where(target, labels[tuple(nearest)], 0)}


def rows_of(place: Path) -> list[dict[str, object]]:
    """Dice of core with enhancing tumour, of enhancing tumour, and its volume over the true one."""
    files = {k: place / f"{place.name}_time{k}_seg.nii.gz" for k in (1, 2)}
    read = read_aligned({str(k): path for k, path in files.items()}).volumes
    box = box_around((read["1"] > 0) | (read["2"] > 0), 2)
    labels, truth = (np.rint(read[k][box]).astype(np.uint8) for k in ("1", "2"))
    target = (truth > 0) & (truth != CAVITY)
    if not (truth == ENHANCING).any() or not (labels == ENHANCING).any():
        return []  # nothing to transport, or nothing to compare with
    inside = (CORE, ENHANCING)
    return [
        {
            "patient": place.name, "way": way,
            "core_dice": dice(np.isin(made, inside), np.isin(truth, inside)),
            "enhancing_dice": dice(made == ENHANCING, truth == ENHANCING),
            "enhancing_volume_ratio": float((made == ENHANCING).sum() / (truth == ENHANCING).sum()),
            "voxels_right": float((made == truth)[target].mean()),
        }
        for way, made in ways(labels, target).items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    places = sorted((root() / "pairs" / "ucsf_masks").iterdir())
    rows = [row for place in places for row in rows_of(place)]
    keys = ("core_dice", "enhancing_dice", "enhancing_volume_ratio", "voxels_right")
    result = {
        way: {key: float(np.mean([r[key] for r in rows if r["way"] == way])) for key in keys}  # type: ignore[arg-type]
        for way in dict.fromkeys(str(r["way"]) for r in rows)
    }
    result["patients"] = len({r["patient"] for r in rows})  # type: ignore[assignment]
    out.mkdir(parents=True, exist_ok=True)
    write_table(out / "compartments.csv", rows)
    write_json(out / "compartments.json", result)
    Console().print_json(data=result)


if __name__ == "__main__":
    main()

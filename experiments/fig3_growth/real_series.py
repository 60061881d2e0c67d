"""The real series as plain CSV: python experiments/fig3_growth/real_series.py OUT_FOLDER.

Reads `growth/` below MECHLEARN_REAL_DATA (default ../shared/data): LUMIERE's enhancing volumes and
Laleh's lesions. Kept, as in the claim: series of at least four readings, all of them positive.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mechlearn.data.size_table import write_series
from mechlearn.records import SizeReading, SizeSeries

FOLDER = Path(os.environ.get("MECHLEARN_REAL_DATA", "../shared/data")) / "growth"
FEWEST = 4
Reading = tuple[str, str, float, float]  # patient, lesion, day, volume in mm^3


def lumiere(path: Path) -> Iterable[Reading]:
    """Enhancing volume of each patient, in weeks."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            yield row["patient"], "enhancing", 7 * float(row["week"]), float(row["enhancing_mm3"])


def laleh(path: Path) -> Iterable[Reading]:
    """Target lesions of each patient; `Pt_hashID` is patient-lesion."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            patient, _, lesion = row["Pt_hashID"].rpartition("-")
            try:
                yield patient, lesion, float(row["T_days"]), float(row["Lesion_vol"])
            except ValueError:  # a visit at which the lesion was not measured
                continue


def timelines(readings: Iterable[Reading]) -> list[SizeSeries]:
    """Series by patient and lesion, by day, that are long enough and all positive."""
    found: dict[tuple[str, str], list[SizeReading]] = defaultdict(list)
    for patient, lesion, day, volume in readings:
        found[patient, lesion].append(SizeReading(day, volume))
    kept = []
    for (patient, lesion), visits in sorted(found.items()):
        ordered = tuple(sorted(visits, key=lambda v: v.day))
        if len(ordered) >= FEWEST and all(v.size > 0 for v in ordered):
            kept.append(SizeSeries(f"{patient}/{lesion}", patient, ordered))
    return kept


def main(out: Path) -> int:
    """Exit status: 0 written, 1 the series are not here."""
    if not FOLDER.is_dir():
        sys.stderr.write(f"{FOLDER}: no such folder; the real series are left out. Set "
                         "MECHLEARN_REAL_DATA to the folder that holds growth/.\n")
        return 1
    for name, read, source in (
        ("lumiere", lumiere, "lumiere_enhancing_volume.csv"),
        ("laleh", laleh, "laleh_lesions.csv"),
    ):
        series = timelines(read(FOLDER / source))
        write_series(series, out / f"{name}.csv", unit="mm3")
        patients = len({t.patient for t in series})
        sys.stdout.write(f"{name}: {len(series)} series of {patients} patients\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""UPENN-GBM (Bakas et al., Scientific Data 2022) -> visit records.

images_structural/UPENN-GBM-00001_11/UPENN-GBM-00001_11_{T1,T1GD,T2,FLAIR}.nii.gz, with
images_segm/UPENN-GBM-00001_11_segm.nii.gz drawn by experts and
automated_segm/UPENN-GBM-00001_11_automated_approx_segm.nii.gz by networks. 11 is the scan before
surgery, 21 a follow-up. Labels 1, 2, 4.

Not every scan was segmented (no follow-up was): the others are left out, and their number logged.
447 patients stand in BraTS 2021 and 2023 as well: not a test set for a model trained on those.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mechlearn.data.adapters.cohort_tables import find_table, header, keyed, read_sheet
from mechlearn.data.adapters.common import Gaps, Roots, checked_scheme, finish, one_file, walk
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.tables import number

__all__ = ["find_upenn_gbm"]

log = logging.getLogger(__name__)
CASE = re.compile(r"(UPENN-GBM-\d{5})_(\d{2})")
SEGMENTATION = re.compile(r"(UPENN-GBM-\d{5}_\d{2})_(segm|automated_approx_segm)\.nii(?:\.gz)?")
STEMS = {"t1n": "T1", "t1c": "T1GD", "t2w": "T2", "t2f": "FLAIR"}
STRUCTURAL = "images_structural"
SCAN, DAYS = "ID", "Time_since_baseline_preop"
EXPECTED = (
    "expected images_structural/UPENN-GBM-NNNNN_NN/UPENN-GBM-NNNNN_NN_{T1,T1GD,T2,FLAIR}.nii.gz "
    "and images_segm/UPENN-GBM-NNNNN_NN_segm.nii.gz"
)


def find_upenn_gbm(
    root: Roots,
    *,
    tables: Roots | None = None,
    label_scheme: str | None = None,
    missing: list[str] | None = None,
    automated: bool = False,
) -> list[VisitRecord]:
    """Find the segmented scans.

    Args:
        root: the folder with images_structural and images_segm; or several.
        tables: UPENN-GBM_clinical_info_v*.csv or its folder, for the days since the first scan;
            None looks below `root`, and without it visits have no day.
        label_scheme: None for `brats2021`.
        missing: None refuses scans without one of their contrasts; a list takes their messages,
            and they are left out.
        automated: take the networks' segmentation where no expert drew one.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no scan, none segmented, a missing contrast, a scan that is not in the table.
    """
    scheme = checked_scheme(label_scheme, "brats2021")
    tree = walk(root, _is_case, what="UPENN-GBM", expected=EXPECTED, allowed=_belongs)
    drawn = _segmentations(tree.loose, automated)
    segmented = [case for case in tree.cases if case.name in drawn]
    if not segmented:
        raise ValueError(f"{root}: {EXPECTED}; found {len(tree.cases)} scans, none segmented.")
    if len(segmented) < len(tree.cases):
        log.info("UPENN-GBM: %d of %d scans are segmented", len(segmented), len(tree.cases))
    table = find_table(tables, tree.loose, pattern="UPENN-GBM_clinical_info", what="UPENN-GBM")
    days = {} if table is None else _days(table)
    gaps, records = Gaps(missing), []
    for case in segmented:
        with gaps.catch(case):
            if table is not None and days.get(case.name) is None:
                raise ValueError(f"{case}: {case.name} has no {DAYS} in {table}.")
            records.append(_record(case, drawn[case.name], scheme, days.get(case.name)))
    return finish(records, gaps, what="UPENN-GBM")


def _is_case(folder: Path) -> bool:
    return folder.parent.name == STRUCTURAL and CASE.fullmatch(folder.name) is not None


def _belongs(name: str) -> bool:
    """Segmentations, and the images that are not read (diffusion, perfusion, with skull)."""
    return name.startswith("UPENN-GBM-")


def _segmentations(loose: list[Path], automated: bool) -> dict[str, Path]:
    found: dict[str, dict[str, Path]] = {"segm": {}, "automated_approx_segm": {}}
    for path in loose:
        match = SEGMENTATION.fullmatch(path.name)
        if match:
            first = found[match[2]].setdefault(match[1], path)
            if first is not path:
                raise ValueError(f"found {first} and {path}. Give each folder once.")
    return {**(found["automated_approx_segm"] if automated else {}), **found["segm"]}


def _days(table: Path) -> dict[str, float | None]:
    rows = keyed(read_sheet(table, required=[SCAN, DAYS]), SCAN)
    return {scan: number(where, DAYS, row[header(DAYS)]) for scan, (where, row) in rows.items()}


def _record(case: Path, seg: Path, scheme: str, day: float | None) -> VisitRecord:
    match = CASE.fullmatch(case.name)
    assert match is not None
    return VisitRecord(
        patient=match[1],
        session=match[2],
        images={c: one_file(case, f"{case.name}_{s}", key=c) for c, s in STEMS.items()},
        seg=seg,
        label_scheme=scheme,
        day=day,
        source="UPENN-GBM",
        age_group="adult",
    )

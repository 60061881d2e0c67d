"""Masks for visits that have none, by the packaged segmenter, slice by slice."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechlearn.data.align import table_of_visits
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.masks import absolute_cell
from mechlearn.data.nifti import save_volume
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.selection import equally_spaced
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.tables import header_of, write_rows
from mechlearn.data.volumes import PreparedVisit, read_visit, to_grid
from mechlearn.evaluation.label_segmenter import (
    label_probabilities,
    load_label_segmenter,
    without_specks,
)
from mechlearn.evaluation.scan_drawing import load_drawer
from mechlearn.evaluation.scan_guard import judge_scan, scan_statistics
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice

__all__ = ["SegmentedVisit", "segment_table", "segment_visit"]

log = logging.getLogger(__name__)
SCHEME = "brats2023"  # of the masks that are written: 1 core, 2 oedema, 3 enhancing
ENHANCING = 3
BLOCK = 16  # slices at once
CHECKED = 5  # slices of a visit that the guard looks at


@dataclass(frozen=True)
class SegmentedVisit:
    """What was found in a visit.

    Attributes:
        volume_ml: of the whole tumour.
        enhancing_ml: of its enhancing part.
        remark: why the scan may be unlike the training data, or that the mask was kept.
    """

    patient: str
    session: str
    file: Path
    volume_ml: float
    enhancing_ml: float
    remark: str = ""


def segment_table(path: str | Path, out: str | Path) -> tuple[Path, list[SegmentedVisit]]:
    """Segment the visits of a table that have no `seg`, and write the completed table.

    Args:
        path: CSV with patient, session, day and a column a contrast, as a manifest; images are
            co-registered and skull-stripped, or have a `brain_mask`.
        out: folder for PATIENT/SESSION-seg.nii.gz and visits.csv. A mask that is newer than its
            images is kept, so that an interrupted run can be started again.

    Returns:
        The new table, and what was found.

    Raises:
        FileNotFoundError: no such table or file.
        ValueError: a visit without one of the contrasts that the segmenter was trained on, or
            files that `read_visit` refuses.
    """
    path, out = Path(path).expanduser(), Path(out).expanduser()
    model, header = load_label_segmenter(), header_of(path)
    rows = _rows(path, model)
    found = []
    for cells in tracked(rows, "segmenting visits", log=log):
        if not cells.get("seg"):
            record = _record(cells, path.parent, model)
            file = out / record.patient / f"{record.session}-seg.nii.gz"
            found.append(segment_visit(record, file, model=model))
            cells |= {"seg": str(file.resolve()), "label_scheme": SCHEME}
        for column in ("seg", "brain_mask", *model.contrasts):
            if cells.get(column):
                cells[column] = absolute_cell(path.parent, cells[column])
    columns = list(dict.fromkeys((*header, "seg", "label_scheme")))
    return write_rows(out / "visits.csv", columns, rows), found


def segment_visit(record: VisitRecord, file: Path, *, model: LoadedModel) -> SegmentedVisit:
    """Segment one visit and write its mask in the voxel grid of its images.

    Args:
        record: its segmentation is not read.
        file: of the mask; kept where it is newer than the images.
        model: of `load_label_segmenter`.
    """
    if file.is_file() and all(file.stat().st_mtime > image.stat().st_mtime
                              for image in record.images.values()):  # fmt: skip
        image = open_volume(file)
        return _found(record, file, np.asarray(image.dataobj), image.affine, "made earlier, kept")
    spec = PrepareSpec(
        size=model.size, pixel_mm=model.pixel_mm, contrasts=model.contrasts,
        percentiles=tuple(model.intensity["percentiles"]), min_brain_mm2=0.0,
    )  # fmt: skip
    source = read_visit(record, model.contrasts, labelled=False)
    visit = to_grid(record, spec, source)
    shares = np.concatenate([
        label_probabilities(visit.images[i : i + BLOCK], visit.brain[i : i + BLOCK], model=model)
        for i in range(0, len(visit.zs), BLOCK)
    ])  # fmt: skip
    on_source, _ = visit.placement.images(
        shares.swapaxes(0, 1), visit.brain, background=0.0, back=True
    )
    labels = np.zeros(source.brain.shape, np.uint8)
    labels[list(visit.zs)] = on_source.argmax(0)
    labels = np.where(without_specks(labels > 0) & source.brain, labels, 0).astype(np.uint8)
    save_volume(labels, source.affine, file, dtype=np.uint8)
    return _found(record, file, labels, source.affine, _warning(record, visit, shares.argmax(1)))


def _found(
    record: VisitRecord, file: Path, labels: np.ndarray, affine: np.ndarray, remark: str
) -> SegmentedVisit:
    ml = float(np.abs(np.linalg.det(affine[:3, :3]))) / 1000
    return SegmentedVisit(
        record.patient, record.session, file, float((labels > 0).sum()) * ml,
        float((labels == ENHANCING).sum()) * ml, remark,
    )  # fmt: skip


def _warning(record: VisitRecord, visit: PreparedVisit, labels: np.ndarray) -> str:
    """The guard's reason where most of the tumour slices that it sees are unfamiliar."""
    with_tumour = np.flatnonzero((labels > 0).sum((1, 2)) >= labels[0].size / 500)
    if not with_tumour.size:
        return "no tumour was found"
    drawer = load_drawer()
    reasons = []
    chosen = equally_spaced(with_tumour.tolist(), CHECKED)
    for row in chosen:
        scan = AxialSlice(
            record.patient, record.session, 0.0, visit.zs[row],
            visit.images[row].astype(np.float32), labels[row].astype(np.uint8), visit.brain[row],
            (drawer.pixel_mm, drawer.pixel_mm), drawer.contrasts,
        )  # fmt: skip
        statistics = scan_statistics(scan, drawer.epsilon, schedule=drawer.schedule)
        reasons.append(judge_scan(statistics, drawer.card["guard"]).reason)
    wrong = [reason for reason in reasons if reason]
    return wrong[0] if 2 * len(wrong) > len(chosen) else ""


def _rows(path: Path, model: LoadedModel) -> list[dict[str, str]]:
    """Rows of the table; ValueError for a visit to segment that lacks a contrast."""
    rows = table_of_visits(path)
    for where, cells in rows:
        lacking = [c for c in model.contrasts if not cells.get(c)]
        if lacking and not cells.get("seg"):
            raise ValueError(
                f"{where}: no {', '.join(lacking)}; the segmenter needs all of "
                f"{', '.join(model.contrasts)}. Fill them in, or give the visit a seg."
            )
    return [cells for _, cells in rows]


def _record(cells: Mapping[str, str], home: Path, model: LoadedModel) -> VisitRecord:
    brain = cells.get("brain_mask")
    return VisitRecord(
        cells["patient"], cells["session"],
        {c: Path(absolute_cell(home, cells[c])) for c in model.contrasts}, Path(), SCHEME,
        brain_mask=Path(absolute_cell(home, brain)) if brain else None,
    )  # fmt: skip

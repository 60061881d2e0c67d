"""Future scans of a volume forecast: tumour slices drawn at quantiles of the forecast volume.

    target mask(q) = {v : arrival(v) <= q-th quantile of the volume}

with the labels that the forecast gives it: oedema, and core and enhancing tumour inside.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechlearn.checks import in_range
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.nifti import save_volume
from mechlearn.data.patients import record_of
from mechlearn.data.selection import equally_spaced
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.volumes import PreparedVisit, prepare_visit
from mechlearn.evaluation.finished import code_digest
from mechlearn.evaluation.label_segmenter import packaged_segmenter, share_found, tumour_area_mm2
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.scan_drawing import (
    DrawnSlice,
    DrawnVerdict,
    draw_slices,
)
from mechlearn.evaluation.slice_guess import growing_room
from mechlearn.evaluation.volume_forecast import VolumeForecast
from mechlearn.files import write_arrays
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice
from mechlearn.spatial.flair_threshold import FlairThreshold
from mechlearn.spatial.label_transport import CAVITY

__all__ = ["QUANTILES", "DrawnScans", "draw_scans"]

log = logging.getLogger(__name__)
LEAST_OF_LARGEST = 0.25  # minimum area of a drawn slice, as a share of the largest tumour area
LEAST_FOUND = 0.3  # overlap of mask and segmentation: .88 and more on 11 patients, .03 mirrored
QUANTILES = (0.5, 0.9)  # of the forecast volume


@dataclass(frozen=True, eq=False)
class DrawnScans:
    """Drawn slices of one forecast.

    Attributes:
        forecast: the volume forecast.
        visit: the last visit on the model's grid.
        scans: z -> slice of the last scan.
        drawn: z -> quantile -> drawn slice with its verdict.
        model: the denoiser.
    """

    forecast: VolumeForecast
    visit: PreparedVisit
    scans: Mapping[int, AxialSlice]
    drawn: Mapping[int, Mapping[float, DrawnSlice]]
    model: LoadedModel

    @property
    def problems(self) -> list[str]:
        """What is wrong with pictures, once each with the slices; empty where nothing was found."""
        places: dict[str, dict[int, None]] = {}
        for z, by_quantile in self.drawn.items():
            for picture in by_quantile.values():
                if not picture.verdict.is_good:
                    places.setdefault(picture.verdict.words, {})[z] = None
        return [*_other_place(list(self.scans.values())), *(
            f"drawn slices z={', '.join(map(str, zs))}: {words}" for words, zs in places.items()
        )]  # fmt: skip

    def write(self, folder: str | Path) -> list[Path]:
        """Write one file a contrast and quantile in the last scan's own voxel grid.

        Drawn slices are in the intensities of the last scan, all other slices are its own.

        Returns:
            The paths: forecast_q50-t2f.nii.gz and so on.
        """
        source = self.forecast.scan
        assert source is not None
        return [
            save_volume(
                volume, source.affine,
                Path(folder) / f"forecast_q{round(100 * q):02d}-{name}.nii.gz",
                dtype=source.volumes.dtype,
            )
            for q in self.quantiles for name, volume in self.volumes(q).items()
        ]  # fmt: skip

    @property
    def quantiles(self) -> list[float]:
        """Quantiles of the forecast volume, ascending."""
        return sorted({q for row in self.drawn.values() for q in row})

    def volumes(self, quantile: float) -> dict[str, np.ndarray]:
        """Contrast -> last scan with drawn slices inserted, (Z, H, W), intensities of the scan."""
        source = self.forecast.scan
        assert source is not None
        out = {}
        for k, name in enumerate(self.visit.intensity.contrasts):
            volume = np.array(source.volumes[self.forecast.contrasts.index(name)], np.float32)
            for z, row in self.drawn.items():
                volume[z] = self._on_source(row[quantile].image[k], z, k, volume[z])
            out[name] = volume
        return out

    def sizes(self) -> list[Row]:
        """One row a picture: area that was asked for, and area measured on the picture.

        Keys: z, quantile, last_mm2, asked_mm2, achieved_mm2 (by the FLAIR threshold; None without
        FLAIR), segmenter_mm2 (by the packaged segmenter, see `tumour_area_mm2`; None where it was
        trained on other contrasts or pixels), verdict.
        """
        return [
            _sizes_of(self.scans[z], picture) | {"z": z, "quantile": q}
            for z, row in self.drawn.items() for q, picture in row.items()
        ]  # fmt: skip

    def _on_source(self, image: np.ndarray, z: int, k: int, before: np.ndarray) -> np.ndarray:
        """One contrast of a drawn slice, (H, W), changed only where it differs from the scan."""
        row = self.visit.zs.index(z)
        changed = image - self.scans[z].image[k]
        brain = self.visit.brain[row][None]
        moved, _ = self.visit.placement.images(
            changed[None, None], brain, background=0.0, back=True
        )
        scale = self.visit.intensity
        width = (scale.high[k] - scale.low[k]) / 2  # intensities of a step of 1 in [-1, 1]
        return np.asarray(before + width * moved[0, 0])


def draw_scans(
    forecast: VolumeForecast,
    *,
    model: LoadedModel,
    count: int = 3,
    quantiles: Sequence[float] = QUANTILES,
    seed: int = 0,
    keep: Path | None = None,
) -> DrawnScans:
    """Draw possible scans of tumour slices of the last visit on the forecast day.

    Args:
        forecast: volume forecast of a patient with images.
        model: denoiser of `scan_drawing.load_drawer`.
        count: number of slices, equally spaced over those with enough tumour, because the
            intensities of new tumour are taken from the same slice.
        quantiles: quantiles of the forecast volume, in (0, 1).
        seed: seed of the noise.
        keep: folder for finished slices; an interrupted run continues from there.

    Raises:
        ValueError: no images, or the visit lacks a contrast of the model.
    """
    in_range("draw", count, 1, 1000)
    for q in quantiles:
        in_range("quantile", q, 0.0, 1.0)
    if forecast.scan is None:
        forecast.mask()  # raises an error that names what is missing
    spec = PrepareSpec(
        size=model.size, pixel_mm=model.pixel_mm, contrasts=model.contrasts,
        percentiles=tuple(model.intensity["percentiles"]), min_brain_mm2=0.0,
    )  # fmt: skip
    record = record_of(forecast.patient, forecast.patient.visits[-1])
    visit = prepare_visit(record, spec)
    labels = {q: forecast.labels(q) for q in quantiles}
    scans, drawn = {}, {}
    for z in tracked(_chosen(visit, count), "drawing slices", log=log):
        scan = scans[z] = _slice(visit, record, z, model)
        room = growing_room(scan)
        targets = [
            np.where(room, visit.placement.labels(wanted[z]), 0) for wanted in labels.values()
        ]
        pictures = _pictures(scan, targets, model, seed, keep)
        drawn[z] = dict(zip(labels, pictures, strict=True))
    return DrawnScans(forecast, visit, scans, drawn, model)


def _pictures(
    scan: AxialSlice, targets: Sequence[np.ndarray], model: LoadedModel, seed: int,
    keep: Path | None,
) -> list[DrawnSlice]:
    """A slice drawn at its targets, or read from the folder of an interrupted run."""
    if keep is None:
        return draw_slices(scan, targets, model=model, seed=seed)
    total = hashlib.sha256(f"{model.digest} {seed} {scan.slice_id} {code_digest()}".encode())
    for part in (scan.image, scan.labels, scan.brain, *targets):
        total.update(np.ascontiguousarray(part).tobytes())
    path = keep / f"z{scan.z:03d}_{total.hexdigest()[:16]}.npz"
    if not path.is_file():
        made = draw_slices(scan, targets, model=model, seed=seed)
        said = [{"figures": m.verdict.figures, "problems": m.verdict.problems} for m in made]
        write_arrays(path, {
            "images": np.stack([m.image for m in made]),
            "labels": np.stack([m.labels for m in made]), "verdicts": np.array(json.dumps(said)),
        })  # fmt: skip
    with np.load(path) as held:
        verdicts = [DrawnVerdict(None, v["figures"], tuple(v["problems"]))
                    for v in json.loads(str(held["verdicts"]))]  # fmt: skip
        return [
            DrawnSlice(*parts) for parts in
            zip(held["images"], held["labels"], verdicts, strict=True)
        ]  # fmt: skip


def _other_place(scans: Sequence[AxialSlice]) -> list[str]:
    """A warning if the segmenter finds the tumour elsewhere than the given masks."""
    first = scans[0] if scans else None
    segmenter = first and packaged_segmenter(first.contrasts, first.spacing_mm[0])
    share = share_found(scans, model=segmenter) if segmenter else None
    if share is None or share >= LEAST_FOUND:
        return []
    return [
        "the segmenter finds tumour elsewhere than the given segmentation (overlap "
        f"{share:.0%} of the smaller of the two): is it of another scan, or mirrored?"
    ]


def _sizes_of(scan: AxialSlice, picture: DrawnSlice) -> Row:
    asked = (picture.labels > 0) & (picture.labels != CAVITY)
    achieved = None
    if "t2f" in scan.contrasts and (scan.tumour & scan.brain).any():
        flair = FlairThreshold.fit(
            scan.image, scan.tumour, scan.brain, contrasts=scan.contrasts,
            pixel_mm=scan.spacing_mm[0],
        )  # fmt: skip
        achieved = float(flair.outline(picture.image).sum()) * scan.pixel_mm2
    segmenter = packaged_segmenter(scan.contrasts, scan.spacing_mm[0])
    return {
        "last_mm2": scan.tumour_area_mm2, "asked_mm2": float(asked.sum()) * scan.pixel_mm2,
        "achieved_mm2": achieved,
        "segmenter_mm2": None if segmenter is None else tumour_area_mm2(
            scan, picture.image, model=segmenter),
        "verdict": picture.verdict.words,
    }  # fmt: skip


def _chosen(visit: PreparedVisit, count: int) -> list[int]:
    tumour = ((visit.labels > 0) & (visit.labels != 4)).sum((1, 2))
    enough = max(LEAST_OF_LARGEST * tumour.max(), 1)
    with_tumour = [z for z, size in zip(visit.zs, tumour, strict=True) if size >= enough]
    return sorted(set(equally_spaced(with_tumour, count))) if with_tumour else []


def _slice(visit: PreparedVisit, record: VisitRecord, z: int, model: LoadedModel) -> AxialSlice:
    row = visit.zs.index(z)
    return AxialSlice(
        record.patient, record.session, float(record.day or 0.0), z,
        visit.images[row].astype(np.float32), visit.labels[row], visit.brain[row],
        (model.pixel_mm, model.pixel_mm), model.contrasts,
    )  # fmt: skip

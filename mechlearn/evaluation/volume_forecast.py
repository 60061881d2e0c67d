"""Forecast of one patient in 3D: volume, growth map and masks, without generated scans.

    p(voxel) = P(volume(day) >= arrival(voxel))
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mechlearn.checks import finite, in_range
from mechlearn.data.labels import whole_tumour
from mechlearn.data.model_grid import canonical_spacing
from mechlearn.data.nifti import save_volume
from mechlearn.data.patients import record_of
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.validation.told import warnings_of
from mechlearn.data.volumes import SourceVisit, read_labels
from mechlearn.evaluation.last_visit import last_visit
from mechlearn.growth.learned_forecast import forecast_size
from mechlearn.records import ArrivalMap, GrowthMap, Patient, SizeForecast, SizeReading, SizeSeries
from mechlearn.spatial.label_transport import transported_labels
from mechlearn.spatial.regions import box_around
from mechlearn.spatial.volume_arrival import volume_arrival

__all__ = ["LEVELS", "VolumeForecast", "forecast_volume", "tumour_on", "volume_series"]

log = logging.getLogger(__name__)
SAME_GRID_MM = 0.01  # largest difference between entries of two affines of one grid
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)  # probabilities at which masks are written


@dataclass(frozen=True, eq=False)
class VolumeForecast:
    """The forecast of a patient's whole tumour; arrays are (Z, H, W) in canonical order.

    Attributes:
        patient: with the visits that were used.
        day: days since the first visit.
        series: measured volumes in mm3, with treatments and covariates.
        size: forecast volume in mm3.
        arrival: volume at which the tumour reaches each voxel; None where only sizes are known.
        growth_map: P(voxel is tumour on `day`); None where only sizes are known.
        scan: the last visit's images, labels and brain, with the affine of its files.
        contrasts: names of the images of `scan`.
        warnings: sentences for the reader.
    """

    patient: Patient
    day: float
    series: SizeSeries
    size: SizeForecast
    arrival: ArrivalMap | None = None
    growth_map: GrowthMap | None = None
    scan: SourceVisit | None = None
    contrasts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def mask(self, probability: float = 0.5) -> np.ndarray:
        """Voxels that are tumour with at least this probability, (Z, H, W) bool."""
        in_range("probability", probability, 0.0, 1.0)
        if self.growth_map is None:
            raise ValueError(
                f"patient {self.patient.name}: only sizes were forecast, there is no growth map. "
                "Give the images and the segmentation of the last visit."
            )
        return self.growth_map.probability >= probability

    def labels(self, quantile: float = 0.5) -> np.ndarray:
        """Labels at a quantile of the forecast volume, (Z, H, W) uint8.

        1 core, 2 oedema, 3 enhancing, 4 cavity. Existing labels stay. New voxels are oedema where
        oedema surrounds the tumour. Core and enhancing tumour keep their share of the volume.
        """
        in_range("quantile", quantile, 0.0, 1.0)
        if self.arrival is None or self.scan is None:
            self.mask()  # raises the error
        assert self.arrival is not None
        assert self.scan is not None
        target = self.arrival.mask(float(np.quantile(self.size.samples, quantile)))
        out = np.zeros(target.shape, np.uint8)
        box = box_around(target | (self.scan.labels > 0), 1)
        out[box] = transported_labels(
            self.scan.labels[box], target[box], np.ones(target[box].shape, bool),
            spacing_mm=self.arrival.spacing_mm,
        )  # fmt: skip
        return out

    def on(self, size: SizeForecast) -> VolumeForecast:
        """The same patient with another size forecast: another day, or a counterfactual."""
        grown = None if self.arrival is None else self.arrival.growth_map(size)
        return replace(self, day=size.day, size=size, growth_map=grown)

    def section_mm2(self, volume_mm3: float) -> float | None:
        """Largest axial section of the tumour at a volume, mm2; None where only sizes are known."""
        if self.arrival is None:
            return None
        pixel = float(np.prod(self.arrival.spacing_mm[1:]))
        return float(self.arrival.mask(volume_mm3).sum((1, 2)).max()) * pixel

    def table(self) -> list[dict[str, object]]:
        """Rows of quantity, value and unit: the last measurement and the forecast."""
        last = self.series.visits[-1]
        low, high = self.size.interval(0.95)
        return [
            {"quantity": "last volume", "value": last.size / 1000, "unit": "ml"},
            {"quantity": "day of the last visit", "value": last.day, "unit": "days"},
            {"quantity": "day of the forecast", "value": self.day, "unit": "days"},
            {"quantity": "forecast volume, median", "value": self.size.median / 1000, "unit": "ml"},
            {"quantity": "95% interval, lower end", "value": low / 1000, "unit": "ml"},
            {"quantity": "95% interval, upper end", "value": high / 1000, "unit": "ml"},
            {
                "quantity": "probability of growth",
                "value": float(self.size.survival(np.nextafter(last.size, np.inf))),
                "unit": "",
            },
        ]

    def write(
        self, folder: str | Path, *, levels: Sequence[float] = LEVELS
    ) -> Mapping[str, Path]:
        """Write NIfTI files on the voxel grid of the last scan, with its affine.

        Files: growth_probability.nii.gz (float32), arrival_ml.nii.gz (float32, inf as -1),
        forecast_mask_pXX.nii.gz (uint8, voxels with probability XX% or more) for each level, and
        forecast_labels.nii.gz (uint8, `labels` at the median volume).

        Returns:
            Name -> path.
        """
        if self.growth_map is None or self.arrival is None or self.scan is None:
            return {}
        folder, affine = Path(folder), self.scan.affine
        arrival = self.arrival.arrival / 1000
        out = {
            "growth_probability": save_volume(
                self.growth_map.probability, affine, folder / "growth_probability.nii.gz"
            ),
            "arrival_ml": save_volume(
                np.where(np.isfinite(arrival), arrival, -1.0), affine, folder / "arrival_ml.nii.gz"
            ),
        }
        for level in levels:
            name = f"forecast_mask_p{round(100 * level):02d}"
            out[name] = save_volume(
                self.mask(level), affine, folder / f"{name}.nii.gz", dtype=np.uint8
            )
        out["forecast_labels"] = save_volume(
            self.labels(), affine, folder / "forecast_labels.nii.gz", dtype=np.uint8
        )
        return out


def volume_series(patient: Patient, *, last: SourceVisit | None = None) -> SizeSeries:
    """Whole-tumour volumes of a patient's visits in mm3, with treatments and covariates.

    The volumes of the visits are used where given; others are measured from the segmentation (all
    labels except a resection cavity).

    Args:
        patient: all visits have a day.
        last: the last visit, where it was read before.

    Raises:
        ValueError: a visit without a volume and without a segmentation.
    """
    readings, enhancing = [], []
    for k, visit in enumerate(patient.visits):
        here = last if last is not None and k == len(patient.visits) - 1 else None
        volumes = dict(visit.volumes_mm3) or _measured(patient, k, here)
        if "whole" not in volumes:
            raise ValueError(
                f"patient {patient.name}: visit {visit.session} has the volumes "
                f"{sorted(volumes)}, but not of the whole tumour. Give its segmentation or its "
                "whole volume."
            )
        day = float(visit.day or 0.0)
        readings.append(SizeReading(day, volumes["whole"], visit.session))
        if "enhancing" in volumes:
            enhancing.append(SizeReading(day, volumes["enhancing"], visit.session))
    return SizeSeries(
        patient.name, patient.name, tuple(readings), patient.radiotherapy, unit="mm3",
        treatments=patient.treatments, covariates=patient.covariates,
        companions={"enhancing": tuple(enhancing)} if enhancing else {},
    )  # fmt: skip


def _measured(patient: Patient, k: int, scan: SourceVisit | None) -> dict[str, float]:
    if scan is None:
        labels, affine = read_labels(record_of(patient, patient.visits[k]))
    else:
        labels, affine = scan.labels, scan.affine
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    return {
        "whole": float(whole_tumour(labels).sum()) * voxel_mm3,
        "enhancing": float((labels == 3).sum()) * voxel_mm3,
    }


def tumour_on(made: VolumeForecast, held_out: Patient) -> np.ndarray | None:
    """The tumour of a later visit on the grid of the last scan, (Z, H, W) bool.

    None where it has no segmentation, is on another grid, or only sizes are forecast.
    """
    visit = held_out.visits[0]
    if visit.seg is None or made.scan is None:
        return None
    labels, affine = read_labels(record_of(held_out, visit))
    same = labels.shape == made.scan.labels.shape and np.allclose(
        affine, made.scan.affine, atol=SAME_GRID_MM
    )
    return whole_tumour(labels) if same else None


def _validated(patient: Patient) -> list[str]:
    """Warnings of `prepare mode=check` about the files and dates of the visits.

    Raises:
        ValueError: errors of the check, except rules about a model's grid.
    """
    records = [
        record_of(patient, visit) for visit in patient.visits
        if visit.seg is not None and visit.images
    ]  # fmt: skip
    return warnings_of(records, PrepareSpec(missing="fill")) if records else []


def forecast_volume(
    patient: Patient,
    day: float,
    *,
    prior: str | Path | None = "auto",
    where: str = "auto",
) -> VolumeForecast:
    """Forecast a patient's whole tumour on `day` from the visits before it.

    Args:
        patient: visits with days. The map needs a segmentation of the last visit before `day`, and
            its images for the tissue (without images: see `last_visit`).
        day: days since the first visit.
        prior: see `growth.learned_forecast.forecast_size`.
        where: order of growth, see `spatial.volume_arrival.volume_arrival`.

    Raises:
        ValueError: no visit with a day before `day`, no tumour, files that do not match.
    """
    finite("day", day)
    seen = patient.before(day)
    warnings = _validated(seen)
    last = last_visit(seen)
    warnings += last.warnings
    scan = last.scan
    series = volume_series(seen, last=scan)
    size = forecast_size(series, day, prior=prior)
    if scan is None:
        return VolumeForecast(seen, day, series, size, warnings=tuple(warnings))
    arrival = volume_arrival(
        scan.labels, scan.brain, last.images, spacing_mm=canonical_spacing(scan.affine),
        order=where, speed=last.speed,
    )  # fmt: skip
    return VolumeForecast(
        seen, day, series, size, arrival, arrival.growth_map(size), scan, last.contrasts,
        tuple(warnings),
    )  # fmt: skip

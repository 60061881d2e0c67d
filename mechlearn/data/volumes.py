"""One visit's NIfTI files -> slices on the model's grid and intensity range."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from mechlearn.data.labels import to_canonical
from mechlearn.data.manifest import VisitRecord
from mechlearn.data.masks import combine, support
from mechlearn.data.measured import check_measured_volumes
from mechlearn.data.model_grid import GridPlacement, reorient
from mechlearn.data.nifti_input import open_volume
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.spatial.intensity import BACKGROUND, IntensityScale, brain_mask

__all__ = [
    "PreparedVisit",
    "SourceVisit",
    "VisitLayout",
    "lay_out",
    "load_visit",
    "prepare_visit",
    "read_labels",
    "read_visit",
    "to_grid",
]

TUMOUR_OUTSIDE = 0.05  # share of labelled voxels outside the brain that points to a shifted file
BLOCK = 8  # slices at once: their arrays stay in the cache
SAME_PLACE_MM = 0.1  # corners of the files of a visit may differ by this much


@dataclass(frozen=True, eq=False)
class SourceVisit:
    """One visit as its files have it: (C, Z, H, W), canonical (Z, H, W), bool (Z, H, W), affine.

    Outside the brain and the labels every contrast is 0.
    """

    volumes: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    affine: np.ndarray


@dataclass(frozen=True, eq=False)
class PreparedVisit:
    """One visit on the model's grid: (S, C, H, W), (S, H, W), (S, H, W) and its maps back."""

    images: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    zs: tuple[int, ...]
    placement: GridPlacement
    intensity: IntensityScale


@dataclass(frozen=True, eq=False)
class VisitLayout:
    """Brain (Z, H, W) bool, slices that are kept, the grid's place and the intensity range."""

    brain: np.ndarray
    zs: tuple[int, ...]
    placement: GridPlacement
    intensity: IntensityScale


def prepare_visit(
    record: VisitRecord, spec: PrepareSpec, *, offset: tuple[int, int] | None = None
) -> PreparedVisit:
    """Load one visit and bring it to the model's grid and intensity range.

    Args:
        record: the visit.
        spec: grid, percentiles, contrasts.
        offset: of the grid, from the patient's first visit (None: this is the first).

    Raises:
        ValueError: a missing contrast, files on different voxel grids, labels outside the
            scheme, no brain, a constant contrast, a brain that does not fit; it names the visit.
    """
    return to_grid(record, spec, read_visit(record, spec.contrasts), offset=offset)


def to_grid(
    record: VisitRecord, spec: PrepareSpec, source: SourceVisit,
    *, offset: tuple[int, int] | None = None,
) -> PreparedVisit:  # fmt: skip
    """A visit that was read -> the model's grid and intensity range: see `prepare_visit`."""
    volumes, labels, affine = source.volumes, source.labels, source.affine
    layout = lay_out(record, spec, volumes, labels, affine, brain=source.brain, offset=offset)
    brain, placement, zs = layout.brain, layout.placement, np.array(layout.zs)
    parts = [
        _slices_to_grid(
            volumes, labels, brain,
            zs=zs[i : i + BLOCK], scale=layout.intensity, placement=placement,
        )
        for i in range(0, zs.size, BLOCK)
    ]  # fmt: skip
    images, on_grid, kept = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return PreparedVisit(images, on_grid, kept, layout.zs, placement, layout.intensity)


def lay_out(
    record: VisitRecord,
    spec: PrepareSpec,
    volumes: np.ndarray,
    labels: np.ndarray,
    affine: np.ndarray,
    *,
    brain: np.ndarray | None = None,
    offset: tuple[int, int] | None = None,
) -> VisitLayout:
    """What a loaded visit is scaled and placed by, found before anything is resampled.

    Args: as `prepare_visit`; `volumes`, `labels`, `brain` and `affine` as `read_visit` gives them;
        without `brain` it is where the volumes are not 0.

    Raises:
        ValueError: no brain, tumour outside the brain, a constant contrast, a brain that does not
            fit, no slice with enough brain; it names the visit.
    """
    brain = brain_mask(volumes) if brain is None else brain
    outside = float((labels > 0)[~brain].sum()) / max(float((labels > 0).sum()), 1.0)
    if outside > TUMOUR_OUTSIDE:
        raise ValueError(
            f"visit {record.name}: {outside:.0%} of the labelled voxels of {record.seg} lie "
            "outside the brain; the segmentation belongs to another image or is shifted."
        )
    brain = brain | (labels > 0)
    scale = IntensityScale.fit(
        volumes, brain, contrasts=spec.contrasts, percentiles=spec.percentiles
    )
    placement = spec.grid.place(brain, affine, name=record.name, offset=offset)
    areas = brain.sum((1, 2)) * float(np.prod(placement.spacing_mm[1:]))
    zs = np.flatnonzero(areas >= max(spec.min_brain_mm2, 1.0))
    if zs.size == 0:
        raise ValueError(
            f"visit {record.name}: no slice has {spec.min_brain_mm2:g} mm2 of brain (the largest "
            f"has {areas.max():.0f}). Lower min_brain_mm2."
        )
    return VisitLayout(brain, tuple(zs.tolist()), placement, scale)


def _slices_to_grid(
    volumes: np.ndarray,
    labels: np.ndarray,
    brain: np.ndarray,
    *,
    zs: np.ndarray,
    scale: IntensityScale,
    placement: GridPlacement,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some slices on the grid: images (S, C, H, W) float16, labels, brain."""
    scaled = scale.apply(volumes[:, zs], brain[zs])
    images, kept = placement.images(scaled, brain[zs], background=BACKGROUND)
    on_grid = placement.labels(labels[zs])
    on_grid[~kept] = 0
    return images.swapaxes(0, 1).astype(np.float16), on_grid, kept


def load_visit(
    record: VisitRecord, contrasts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(volumes (C, Z, H, W), canonical labels (Z, H, W), affine) of `read_visit`."""
    source = read_visit(record, contrasts)
    return source.volumes, source.labels, source.affine


def read_visit(
    record: VisitRecord,
    contrasts: Sequence[str],
    *,
    open_image: Callable[[Path], Any] = nib.load,
    labelled: bool = True,
) -> SourceVisit:
    """The files of a visit, in canonical order.

    Brain is where the record's brain mask is above half of its largest value (some were resampled
    with interpolation), or, without one, where any contrast is not 0, with holes filled.

    Args:
        open_image: path -> image, for who has the files in memory already.
        labelled: read the segmentation; without it all labels are 0.

    Raises:
        ValueError: a missing contrast, a broken header, voxels that are no real numbers, files on
            different voxel grids, values that are not finite, a mask that is not binary, labels
            outside the scheme, labels that do not have their measured volumes (LUMIERE), no brain;
            it names the visit.
    """
    missing = [c for c in contrasts if c not in record.images]
    if missing:
        raise ValueError(
            f"visit {record.name}: has no {', '.join(missing)} (it has "
            f"{', '.join(record.images)}). Complete it, drop the contrast from "
            "data.prepare.contrasts, or store it as background with data.prepare.missing=fill."
        )
    reference = _open(record, record.images[contrasts[0]], open_image)

    def volume(path: Path) -> np.ndarray:
        return _volume(record, _open(record, path, open_image), reference)

    volumes = np.stack([volume(record.images[c]) for c in contrasts])
    labels = (
        _labels(record, reference, volume) if labelled else np.zeros(volumes.shape[1:], np.uint8)
    )
    if record.brain_mask is None:
        _check_finite(record, contrasts, volumes)
        return SourceVisit(volumes, labels, brain_mask(volumes), reference.affine)
    brain = support(volume(record.brain_mask))
    if not brain.any():
        raise ValueError(f"visit {record.name}: {record.brain_mask} is 0 everywhere: no brain.")
    # Labels may reach beyond the mask; there they count as brain and keep their intensities.
    inside = brain | (labels > 0)
    volumes = np.where(inside, volumes, 0)
    _check_finite(record, contrasts, volumes)
    return SourceVisit(volumes, labels, brain, reference.affine)


def _check_finite(record: VisitRecord, contrasts: Sequence[str], volumes: np.ndarray) -> None:
    if volumes.dtype.kind != "f":
        return
    for contrast, volume in zip(contrasts, volumes, strict=True):
        bad = volume.size - int(np.isfinite(volume).sum())
        if bad:
            raise ValueError(
                f"visit {record.name}: {bad:,} voxels of {record.images[contrast]} are NaN or "
                "infinite. Export the image again; if only the background is NaN, set it to 0."
            )


def read_labels(
    record: VisitRecord, *, open_image: Callable[[Path], Any] = nib.load
) -> tuple[np.ndarray, np.ndarray]:
    """Canonical labels (Z, H, W) and the affine of a visit's segmentation; no image is read.

    Raises:
        ValueError: as `read_visit`, of the segmentation.
    """
    reference = _open(record, record.seg, open_image)

    def volume(path: Path) -> np.ndarray:
        return _volume(record, _open(record, path, open_image), reference)

    return _labels(record, reference, volume), reference.affine


def _labels(
    record: VisitRecord, reference: nib.Nifti1Image, volume: Callable[[Path], np.ndarray]
) -> np.ndarray:
    """Canonical labels of the segmentation, or of its several masks."""
    try:
        seg = combine(record.masks, volume) if record.masks else volume(record.seg)
        if record.label_scheme == "lumiere":
            voxel_mm3 = abs(float(np.linalg.det(reference.affine[:3, :3])))
            check_measured_volumes(record.seg, seg, voxel_mm3=voxel_mm3)
        return to_canonical(seg, record.label_scheme)
    except ValueError as error:
        text = str(error)
        if text.startswith(f"visit {record.name}"):
            raise
        named = text.startswith(tuple(map(str, record.files().values())))
        name = "" if named else f"{record.seg}: "
        raise ValueError(f"visit {record.name}: {name}{text}") from error


def _open(record: VisitRecord, path: Path, open_image: Callable[[Path], Any]) -> nib.Nifti1Image:
    try:
        return open_volume(path, open_image)
    except ValueError as error:
        raise ValueError(f"visit {record.name}: {error}") from error


def _volume(record: VisitRecord, image: nib.Nifti1Image, reference: nib.Nifti1Image) -> np.ndarray:
    name = image.get_filename()
    wrong = f"shape {image.shape}"
    if image.shape == reference.shape:
        corners = np.array(np.meshgrid(*([0, n - 1] for n in image.shape))).reshape(3, -1)
        moved = nib.affines.apply_affine(image.affine - reference.affine, corners.T)
        apart = float(np.abs(moved).max())
        wrong = f"shape {image.shape} and lies {apart:g} mm apart" if apart > SAME_PLACE_MM else ""
    if wrong:
        raise ValueError(
            f"visit {record.name}: {name} has {wrong}; {reference.get_filename()} has shape "
            f"{reference.shape}, and contrasts and segmentation must share one 3D voxel grid. "
            "Co-register and resample them."
        )
    try:
        voxels = np.asanyarray(image.dataobj)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"visit {record.name}: {name} cannot be read to its end ({error}). Copy or download it "
            "again."
        ) from error
    return reorient(voxels, reference.affine)

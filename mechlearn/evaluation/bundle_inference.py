"""Inference of an exported MONAI bundle, from NIfTI to NIfTI.

configs/inference.json of a bundle names these classes, so a bundle prepares, samples and writes
with the code of the package.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mechlearn.checks import one_of, positive
from mechlearn.data.nifti import write_scans
from mechlearn.data.preparation import prepare
from mechlearn.data.single_scan import scan_record
from mechlearn.data.store import SliceStore
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.evaluation.model_pair import ModelBundle, flair_threshold_of, generate
from mechlearn.evaluation.rows import Row, write_table
from mechlearn.files import write_arrays
from mechlearn.models.checkpoints import LoadedModel
from mechlearn.progress import tracked
from mechlearn.records import AxialSlice, Generation, GuidanceTarget

__all__ = ["GuidedInference", "InferenceResult", "SizeRequest", "prepare_spec", "read_fraction",
           "read_mask"]

log = logging.getLogger(__name__)
SLICES = ("largest", "tumour")
OEDEMA = 2  # canonical label of a tumour without compartments


@dataclass(frozen=True)
class SizeRequest:
    """The requested tumour size: exactly one of the three attributes.

    Attributes:
        multiple: of the present size. area_mm2: in the slice. fraction: of the brain's area.
    """

    multiple: float | None = None
    area_mm2: float | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                f"size {given or 'not given'}: give exactly one of multiple, area_mm2, fraction."
            )
        for key, value in given.items():
            positive(key, float(value))

    def target(self, reference: AxialSlice, present: float) -> GuidanceTarget:
        """The guidance target in one slice.

        Args:
            reference: the slice.
            present: its tumour area over brain area.

        Raises:
            ValueError: a multiple where there is no tumour, or a size larger than the brain.
        """
        if self.multiple is not None and present <= 0:
            raise ValueError(
                f"slice {reference.slice_id}: multiple={self.multiple:g}, but there is no tumour. "
                "Choose slices with a tumour, or give area_mm2 or fraction."
            )
        if self.fraction is not None:
            wanted = self.fraction
        elif self.area_mm2 is not None:
            wanted = self.area_mm2 / reference.brain_area_mm2
        else:
            wanted = float(self.multiple or 0.0) * present
        if wanted > 1:
            raise ValueError(
                f"slice {reference.slice_id}: the requested size is {wanted:.2f} times the brain's "
                f"area ({reference.brain_area_mm2:.0f} mm2). Give a smaller size."
            )
        return GuidanceTarget(wanted)


@dataclass(frozen=True)
class InferenceResult:
    """Generations of one scan by z, one row a slice, and the files written."""

    name: str
    generations: Mapping[int, Generation]
    rows: tuple[Row, ...]
    files: Mapping[str, Path]


def prepare_spec(model: LoadedModel) -> PrepareSpec:
    """Preparation settings of a model; every slice with brain is kept."""
    low, high = model.intensity["percentiles"]
    return PrepareSpec(
        size=model.size, pixel_mm=model.pixel_mm, percentiles=(low, high), min_brain_mm2=0.0,
        contrasts=model.contrasts,
    )  # fmt: skip


@torch.no_grad()
def read_fraction(models: ModelBundle, reference: AxialSlice) -> float:
    """The guide's prediction on the clean slice: tumour over brain area."""
    return float(models.guide.module.fraction(*_shown(models, reference)))  # type: ignore[operator]


@torch.no_grad()
def read_mask(models: ModelBundle, reference: AxialSlice) -> np.ndarray:
    """The guide's segmentation of the clean slice, (H, W) bool; ValueError for a regressor."""
    if models.guide.kind != "segmenter":
        raise ValueError(
            f"guide={models.guide.kind}: it reads a size, not a place. Give seg=FILE, a bundle "
            "with a segmenter, or sampler.guidance=paper."
        )
    image, level, brain = _shown(models, reference)
    logits = models.guide.module.tumour_logits(image, level)  # type: ignore[operator]
    return ((logits > 0) & (brain > 0))[0, 0].cpu().numpy()


def _shown(models: ModelBundle, reference: AxialSlice) -> tuple[Tensor, Tensor, Tensor]:
    """The clean slice as a guide takes it: image, level 0, brain."""
    device = next(models.guide.module.parameters()).device
    image = torch.from_numpy(reference.image).to(device)[None].float()
    brain = torch.from_numpy(reference.brain).to(device).float()[None, None]
    return image, torch.zeros(1, dtype=torch.long, device=device), brain


class GuidedInference:
    """Generates slices of scans with another tumour size and writes them as NIfTI.

    Args:
        models: denoiser, guide and sampler.
        dataset: scans: mappings with `image` and optionally `brain_mask`, `seg`, `label_scheme`,
            `name` (see `data.single_scan.scan_record`).
        size: the requested size.
        output_dir: receives NAME-CONTRAST.nii.gz, NAME-generated.npz and NAME-table.csv a scan.
        dataset_dir: folder of relative paths in the dataset.
        slices: `largest` (most tumour), `tumour` (all with tumour), or one or several z, counted
            from 0, the lowest. Tumour is found by the segmentation or, without one, by the guide.
        min_area_mm2: least tumour area of a slice where the guide finds the tumour, because a guide
            predicts a small area in every slice.
        seed: of the sampler.
        fill: other slices of the files: `background` or `source`.

    Raises:
        ValueError: unknown `slices` or `fill`.
    """

    def __init__(
        self,
        models: ModelBundle,
        dataset: Sequence[Mapping[str, Any]],
        *,
        size: SizeRequest,
        output_dir: str | Path,
        dataset_dir: str | Path = ".",
        slices: str | int | Sequence[int] = "largest",
        min_area_mm2: float = 100.0,
        seed: int = 0,
        fill: str = "background",
    ) -> None:
        if isinstance(slices, str):
            one_of("slices", slices, SLICES, remedy="Or give slice numbers.")
        one_of("fill", fill, ("background", "source"))
        self.models, self.dataset, self.size = models, dataset, size
        self.output_dir, self.dataset_dir = Path(output_dir), Path(dataset_dir)
        self.slices, self.min_area_mm2, self.seed, self.fill = slices, min_area_mm2, seed, fill

    def run(self) -> list[InferenceResult]:
        """All scans of the dataset."""
        return [self(self.dataset[i]) for i in range(len(self.dataset))]

    def __call__(self, scan: Mapping[str, Any]) -> InferenceResult:
        """One scan; errors are those of `scan_record`, `prepare` and `SizeRequest.target`."""
        with tempfile.TemporaryDirectory() as scratch:
            store, with_labels = self._prepare(scan, Path(scratch))
            return self._generate(store, with_labels)

    def _prepare(self, scan: Mapping[str, Any], scratch: Path) -> tuple[SliceStore, bool]:
        given = {k: self._resolved(v) if k in ("image", "seg", "brain_mask") else v
                 for k, v in scan.items() if v is not None}  # fmt: skip
        if "image" not in given:
            raise ValueError("image: no scan given. Give --image FILE, NIfTI.")
        denoiser = self.models.denoiser
        record = scan_record(
            given.pop("image"), denoiser.contrasts, scratch=scratch / "files", **given
        )
        store = prepare(
            [record], scratch / "store", spec=prepare_spec(denoiser),
            splits={record.patient: "test"},
        )  # fmt: skip
        return store, scan.get("seg") is not None

    def _resolved(self, value: Any) -> Any:
        """Resolve relative paths against dataset_dir."""
        if isinstance(value, Mapping):
            return {k: self._resolved(v) for k, v in value.items() if v is not None}
        if isinstance(value, str | Path):
            return self.dataset_dir / value
        return [self._resolved(v) for v in value]

    def _generate(self, store: SliceStore, with_labels: bool) -> InferenceResult:
        (name,) = store.patients()
        (visit,) = store.visits(name)
        chosen = self._choose(store, with_labels)
        made: dict[int, Generation] = {}
        rows: list[Row] = []
        for reference, present in tracked(chosen, f"generate {name}", log=log):
            target = self.size.target(reference, present)
            (out,) = generate(self.models.sampler, reference, [target], seed=self.seed)
            made[reference.z] = out
            rows.append(_row(reference, present, out, with_labels))
            log.info("%(slice_id)s: %(present_mm2).0f mm2, target %(target_mm2).0f mm2, guide's "
                     "prediction %(generated_guide_mm2).0f mm2", rows[-1])  # fmt: skip
        images = {z: g.image.numpy() for z, g in made.items()}
        fill: Any = self.fill
        files = write_scans(visit, images, self.output_dir, stem=name, fill=fill)
        files |= {
            "arrays": _write_arrays(self.output_dir / f"{name}-generated.npz", images),
            "table": write_table(self.output_dir / f"{name}-table.csv", rows),
        }
        for path in files.values():
            log.info("%s", path)
        return InferenceResult(name, made, tuple(rows), files)

    def _choose(self, store: SliceStore, with_labels: bool) -> list[tuple[AxialSlice, float]]:
        """(slice, present tumour over brain area), by z."""
        rows = store.slices()
        if not isinstance(self.slices, str):
            wanted = [self.slices] if isinstance(self.slices, int) else list(self.slices)
            by_z = {row.z: row for row in rows}
            absent = sorted(set(wanted) - set(by_z))
            if absent:
                raise ValueError(
                    f"slices={absent}: no brain in them; the brain is in slices {min(by_z)} to "
                    f"{max(by_z)}, counted from 0, the lowest. Give slices in this range."
                )
            rows = [by_z[z] for z in sorted(set(wanted))]
        read = [store.read(row, surroundings=with_labels) for row in rows]
        found = [self._measured(item, with_labels) for item in read]
        if not isinstance(self.slices, str):
            return found
        least = 0.0 if with_labels else self.min_area_mm2
        found = [(s, f) for s, f in found if f * s.brain_area_mm2 > least]
        if not found:
            raise ValueError(
                f"slices={self.slices}: no slice with more than {least:g} mm2 of tumour "
                f"({'by the segmentation' if with_labels else 'by the guide'}). Give slice numbers."
            )
        if self.slices == "largest":
            return [max(found, key=lambda pair: pair[1] * pair[0].brain_area_mm2)]
        return found

    def _measured(self, reference: AxialSlice, with_labels: bool) -> tuple[AxialSlice, float]:
        if with_labels:
            return reference, reference.tumour_fraction
        if self.models.sampler.spec.guidance == "labels":  # it needs to know where the tumour is
            labels = np.where(read_mask(self.models, reference), OEDEMA, 0).astype(np.uint8)
            reference = replace(reference, labels=labels)
            return reference, reference.tumour_fraction
        return reference, read_fraction(self.models, reference)


def _row(reference: AxialSlice, present: float, made: Generation, with_labels: bool) -> Row:
    mm2 = reference.brain_area_mm2
    row: Row = {
        "slice_id": reference.slice_id,
        "z": reference.z,
        "brain_mm2": mm2,
        "present_from": "segmentation" if with_labels else "guide",
        "present_mm2": present * mm2,
        "target_mm2": made.target.tumour_fraction * mm2,
        "generated_guide_mm2": made.predicted_after * mm2,
    }
    if with_labels and "t2f" in reference.contrasts and reference.tumour.any():
        row["generated_mm2"] = flair_threshold_of(reference).fraction(made.image.numpy()) * mm2
    return row


def _write_arrays(path: Path, images: Mapping[int, np.ndarray]) -> Path:
    """Write z (S,) and image (S, C, H, W), float32 in [-1, 1], as the sampler returned them."""
    stacked = np.stack(list(images.values()))
    return write_arrays(path, {"z": np.array(list(images)), "image": stacked})

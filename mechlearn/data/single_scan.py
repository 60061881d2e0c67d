"""One scan given by hand, a file by contrast or one file of channels -> a visit to prepare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from mechlearn.data.manifest import VisitRecord

__all__ = ["scan_record"]

Paths = str | Path | Sequence[str | Path] | Mapping[str, str | Path]


def scan_record(
    image: Paths,
    contrasts: Sequence[str],
    *,
    scratch: str | Path,
    name: str = "scan",
    seg: str | Path | None = None,
    label_scheme: str = "brats2023",
    brain_mask: str | Path | None = None,
) -> VisitRecord:
    """A visit from a NIfTI slice or volume; without `seg` it has no tumour.

    Args:
        image: {contrast: file}, files in the order of `contrasts`, or one file: (X, Y, Z, C) with
            the channels in that order, or (X, Y, Z) for a single contrast. (X, Y) is one slice.
        contrasts: that are needed; others are left.
        scratch: folder for what has to be written: channels of one file, an empty segmentation.
        name: of the patient in the record.
        seg, label_scheme: labels on the same grid, and what they mean.
        brain_mask: where the images are not skull-stripped.

    Raises:
        FileNotFoundError: a file that does not exist.
        ValueError: a contrast without a file, another number of channels or axes.
    """
    scratch, names = Path(scratch), tuple(contrasts)
    images = _files(image, names, scratch)
    first = _load(next(iter(images.values())))
    seg = _flat(_existing(seg), scratch) if seg is not None else _empty(first, scratch)
    mask = None if brain_mask is None else _flat(_existing(brain_mask), scratch)
    return VisitRecord(name, "scan", images, seg, label_scheme, brain_mask=mask)


def _files(image: Paths, names: tuple[str, ...], scratch: Path) -> dict[str, Path]:
    if isinstance(image, str | Path):
        return _split(_existing(image), names, scratch)
    if not isinstance(image, Mapping):
        if len(image) != len(names):
            raise ValueError(
                f"image={list(map(str, image))}: {len(image)} files, but the models take "
                f"{len(names)} contrasts: {', '.join(names)}, in this order."
            )
        image = dict(zip(names, image, strict=True))
    missing = [n for n in names if image.get(n) is None]
    if missing:
        raise ValueError(
            f"image: no file for {', '.join(missing)}; the models take {', '.join(names)}. Give "
            f"--image#{missing[0]} FILE for each, or --image FILE with all of them as channels."
        )
    return {n: _flat(_existing(image[n]), scratch) for n in names}


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file.")
    return path


def _load(path: Path) -> nib.Nifti1Image:
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise ValueError(f"{path}: a {type(image).__name__}, expected NIfTI. Convert it.")
    return image


def _split(path: Path, names: tuple[str, ...], scratch: Path) -> dict[str, Path]:
    """Contrast -> file, from one file of channels; numbers and their type are kept."""
    source = _load(path)
    if len(names) == 1 and len(source.shape) <= 3:
        return {names[0]: _flat(path, scratch)}
    if len(source.shape) != 4 or source.shape[3] != len(names):
        raise ValueError(
            f"{path}: shape {source.shape}; one file for all contrasts is (X, Y, Z, {len(names)}) "
            f"with the channels {', '.join(names)}. Stack them so, or give a file by contrast."
        )
    values = np.asanyarray(source.dataobj)
    return {
        n: _save(values[..., i], source, scratch / f"{n}.nii.gz") for i, n in enumerate(names)
    }


def _flat(path: Path, scratch: Path) -> Path:
    """The file itself, or a copy with a third axis of one where it holds a single slice (X, Y)."""
    source = _load(path)
    if len(source.shape) != 2:
        return path
    return _save(np.asanyarray(source.dataobj)[..., None], source, scratch / f"flat-{path.name}")


def _empty(like: nib.Nifti1Image, scratch: Path) -> Path:
    return _save(np.zeros(like.shape[:3], np.uint8), like, scratch / "no-tumour.nii.gz")


def _save(values: np.ndarray, like: nib.Nifti1Image, path: Path) -> Path:
    kind = values.dtype if values.dtype.kind in "iu" else np.dtype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(kind), like.affine, dtype=kind), path)
    return path

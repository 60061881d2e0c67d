"""Segmentations that come as several binary masks: how a table names them, how they become one.

A cell of a manifest says `2=EdemaMask.nii.gz;3=ContrastEnhancedMask.nii.gz`: the label, in the
visit's scheme, and the file of its mask; later ones lie on top.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["absolute_cell", "binary", "combine", "join_masks", "split_masks", "support"]

PART = re.compile(r"\s*(\d+)=(.+?)\s*")
UNCERTAIN = (0.1, 0.9)  # shares of a mask's largest value that no binary mask holds


def split_masks(cell: str) -> dict[int, str] | None:
    """Label -> file of a cell `LABEL=file;LABEL=file`, bottom first; None for the path of one file.

    Raises:
        ValueError: a part that is not LABEL=file, or a label twice.
    """
    parts = [PART.fullmatch(part) for part in cell.split(";") if part.strip()]
    if not parts or parts[0] is None:
        return None
    found: dict[int, str] = {}
    for part in parts:
        if part is None or int(part[1]) in found:
            raise ValueError(
                f"seg={cell!r}: must be one file, or LABEL=file;LABEL=file with each label once."
            )
        found[int(part[1])] = part[2]
    return found


def join_masks(masks: Mapping[int, str]) -> str:
    """Inverse of `split_masks`; ValueError for a path with ';' in it."""
    for file in masks.values():
        if ";" in file:
            raise ValueError(f"{file}: a mask's path must not hold ';'. Rename it.")
    return ";".join(f"{label}={file}" for label, file in masks.items())


def binary(mask: np.ndarray) -> np.ndarray:
    """Foreground of a binary mask of any scale (0 and 1, 0 and 255, 0 and 0.001), bool.

    Masks that were resampled carry tiny values beside the large one: values up to a tenth of the
    largest are background, from nine tenths on foreground.

    Raises:
        ValueError: values that are not finite, or between: several labels, or a mask that was
            resampled with interpolation.
    """
    if not np.isfinite(mask).all():
        raise ValueError("the mask holds values that are not finite. Mend the file.")
    largest = float(mask.max(initial=0))
    if largest <= 0:
        return np.zeros(mask.shape, bool)
    low, high = (share * largest for share in UNCERTAIN)
    between = (mask > low) & (mask < high)
    if between.any():
        raise ValueError(
            f"{int(between.sum())} voxels hold values between 0 and the largest ({largest:g}), for "
            f"example {float(mask[between][0]):g}; a binary mask holds two values. Give the file "
            "of one label, resampled with nearest neighbours."
        )
    found: np.ndarray = mask >= high
    return found


def support(mask: np.ndarray) -> np.ndarray:
    """Inside of a brain mask, bool: above half of its largest value.

    Unlike a tumour's, a brain mask may have been resampled with interpolation: nothing small is
    lost at its edge.
    """
    clean = np.nan_to_num(mask)
    found: np.ndarray = clean > clean.max(initial=0) / 2
    return found


def combine(masks: Mapping[int, Path], read: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Binary masks -> one array of labels, int16, later masks on top.

    Args:
        masks: label -> file, bottom first; at least one.
        read: loads a file; all of one shape.

    Raises:
        ValueError: a mask that is not binary; it names the file.
    """
    labels: np.ndarray | None = None
    for label, file in masks.items():
        array = read(file)
        try:
            inside = binary(array)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        labels = np.zeros(array.shape, np.int16) if labels is None else labels
        labels[inside] = label
    if labels is None:
        raise ValueError("masks={}: name one mask at least.")
    return labels


def absolute_cell(home: Path, text: str) -> str:
    """A table's cell, a path from the folder `home` or a mask for each label, with whole paths."""
    if masks := split_masks(text):
        return join_masks({label: absolute_cell(home, file) for label, file in masks.items()})
    return str((home / Path(text).expanduser()).resolve())

"""Labels of prepared slices by a trained segmenter: sizes of scans, drawn ones as well."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from mechlearn.models.checkpoints import LoadedModel, load_model
from mechlearn.records import AxialSlice
from mechlearn.spatial.intensity import BACKGROUND

__all__ = [
    "label_probabilities",
    "load_label_segmenter",
    "packaged_segmenter",
    "segmented",
    "share_found",
    "tumour_area_mm2",
    "without_specks",
]

LEAST_PART = 0.1  # of the largest connected part: smaller parts are dropped
LEAST_PROBABILITY = 0.01  # of tumour
PIXEL_TOLERANCE_MM = 0.01
STEP_PX = 16  # the network halves the resolution four times


def load_label_segmenter(path: str | Path = "demo") -> LoadedModel:
    """The segmenter of clean images at `path`; ValueError for a checkpoint of another kind."""
    model = load_model(path, demo_kind="label_segmenter")
    if model.kind != "label_segmenter":
        raise ValueError(
            f"checkpoints.segmenter={path}: this checkpoint is a {model.kind}. Train one with "
            "+experiment=segmenter_labels, or take the packaged one: demo."
        )
    return model


@torch.inference_mode()
def label_probabilities(
    images: np.ndarray, brain: np.ndarray, *, model: LoadedModel
) -> np.ndarray:
    """Probability of each label of slices, averaged with that of their mirror image.

    Args:
        images: (B, C, H, W) in [-1, 1], prepared as for `model`. brain: (B, H, W) bool.

    Returns:
        (B, 4, H, W) float32 of none, core, oedema, enhancing; outside the brain it is none.
    """
    height, width = brain.shape[-2:]
    margin = ((0, 0), (0, 0), (0, -height % STEP_PX), (0, -width % STEP_PX))
    seen = np.where(brain[:, None], images, BACKGROUND).astype(np.float32)
    x = torch.from_numpy(np.pad(seen, margin, constant_values=BACKGROUND))
    both = torch.stack([model.module(x), model.module(x.flip(-1)).flip(-1)]).float()
    found = both.softmax(2).mean(0)[..., :height, :width].numpy()
    none = np.eye(found.shape[1], dtype=np.float32)[0][None, :, None, None]
    return np.where(brain[:, None], found, none)


def segmented(scan: AxialSlice, images: np.ndarray, *, model: LoadedModel) -> np.ndarray:
    """Labels of images that share a scan's brain: (B, C, H, W) -> (B, H, W) uint8.

    Example:
        >>> model = load_label_segmenter()                                  # doctest: +SKIP
        >>> labels = segmented(scan, drawn.image[None], model=model)[0]     # doctest: +SKIP
    """
    brain = np.broadcast_to(scan.brain, (len(images), *scan.brain.shape))
    labels = label_probabilities(images, brain, model=model).argmax(1)
    return np.stack([np.where(without_specks(m > 0), m, 0) for m in labels]).astype(np.uint8)


def tumour_area_mm2(scan: AxialSlice, image: np.ndarray, *, model: LoadedModel) -> float | None:
    """Tumour area of an image (C, H, W) of a scan, by a threshold of the scan's own, mm2.

    The threshold on the tumour's probability is the one at which the segmenter finds on the scan
    as much as its mask has. None where it is below `LEAST_PROBABILITY`: the segmenter does not see
    the tumour of this scan.
    """
    images = np.stack([scan.image, image])
    brain = np.broadcast_to(scan.brain, (2, *scan.brain.shape))
    before, after = 1 - label_probabilities(images, brain, model=model)[:, 0]
    known = int((scan.tumour & scan.brain).sum())
    threshold = np.partition(before[scan.brain], -known)[-known] if known else 0.0
    if threshold < LEAST_PROBABILITY:
        return None
    return float((after[scan.brain] >= threshold).sum()) * scan.pixel_mm2


def share_found(scans: Iterable[AxialSlice], *, model: LoadedModel) -> float | None:
    """Overlap of masks and segmentation over the smaller of the two, over all pixels of scans.

    Near 0 where masks belong to another scan or are mirrored. None where one of them is empty.
    """
    both = mine = theirs = 0
    for scan in scans:
        found = segmented(scan, scan.image[None], model=model)[0] > 0
        both += int((found & scan.tumour).sum())
        mine, theirs = mine + int(found.sum()), theirs + int(scan.tumour.sum())
    return both / min(mine, theirs) if mine and theirs else None


@functools.cache
def packaged_segmenter(contrasts: tuple[str, ...], pixel_mm: float) -> LoadedModel | None:
    """The packaged segmenter; None where it was trained on other contrasts or pixels."""
    model = load_label_segmenter()
    fits = model.contrasts == contrasts and abs(model.pixel_mm - pixel_mm) < PIXEL_TOLERANCE_MM
    return model if fits else None


def without_specks(mask: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that are at least `LEAST_PART` of its largest one."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    return np.isin(parts, 1 + np.flatnonzero(sizes >= LEAST_PART * sizes.max()))

"""A tumour segmenter for the sizes of pictures: boosted trees on filtered contrasts.

Thirty patients are few for a network (one fine-tuned on them got worse from step 250 on); trees on
the values around a pixel learn what they teach in a minute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier

from mechlearn.agreement import dice
from mechlearn.data.selection import equally_spaced
from mechlearn.data.store import SliceStore
from mechlearn.records import AxialSlice
from mechlearn.spatial.flair_threshold import FlairThreshold
from mechlearn.spatial.masked_mean import masked_mean

WIDTHS_PX = (1.0, 2.0, 4.0)
PER_LABEL = 60  # pixels of each label of a slice to learn from
SLICES = 12  # of a patient
SMOOTH_PX = 1.0  # of the probabilities
NAMES = {1: "core", 2: "oedema", 3: "enhancing"}


def features(image: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(F, H, W): contrasts in units of the brain's quartiles, their means, spread and mirror."""
    low, middle, high = np.percentile(image[:, brain], (25, 50, 75), axis=1)
    found = []
    centre = round(float(np.argwhere(brain)[:, 1].mean()))
    for channel, values in enumerate(image):
        unit = (values - middle[channel]) / max(high[channel] - low[channel], 0.02)
        unit = np.where(brain, np.clip(unit, -8, 8), 0).astype(np.float32)
        means = [masked_mean(unit, brain, width) for width in WIDTHS_PX]
        mirrored = np.roll(means[1][:, ::-1], 2 * centre + 1 - image.shape[2], axis=1)
        spread = masked_mean(unit**2, brain, WIDTHS_PX[1]) - means[1] ** 2
        found += [unit, *means, means[1] - mirrored, spread]
    found.append(ndimage.distance_transform_edt(brain).astype(np.float32))
    return np.stack(found)


class Meter:
    """Labels of a slice, learnt from the training patients of a store."""

    def __init__(self, store: SliceStore, *, seed: int = 0) -> None:
        rng, columns, labels = np.random.default_rng(seed), [], []
        for scan in _scans(store, "train"):
            seen = features(scan.image, scan.brain)
            for label in (0, *NAMES):
                pixels = np.argwhere(scan.brain & (scan.labels == label))
                count = min(PER_LABEL * (4 if label == 0 else 1), len(pixels))
                rows, cols = pixels[rng.choice(len(pixels), count, replace=False)].T
                columns.append(seen[:, rows, cols].T)
                labels.append(np.full(count, label))
        self.trees = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.1, max_leaf_nodes=15, l2_regularization=5.0,
            random_state=seed,
        )  # fmt: skip
        self._own: tuple[AxialSlice, FlairThreshold] | None = None  # of the last scan
        self.trees.fit(np.concatenate(columns), np.concatenate(labels))

    def shares(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """Smoothed probability of each label, (K, H, W); the first is that of no tumour."""
        found = np.zeros((len(self.trees.classes_), *brain.shape), np.float32)
        found[:, brain] = self.trees.predict_proba(features(image, brain)[:, brain].T).T
        return np.stack([masked_mean(share, brain, SMOOTH_PX) for share in found])

    def calibrated(self, scan: AxialSlice, image: np.ndarray) -> float:
        """Tumour area of a picture of a scan, in pixels, by a threshold of the scan's own.

        The threshold on the probability agrees best with the known mask on the scan as it is, as
        for FLAIR, and the area is that of the mask times the ratio to the area read there.
        """
        if self._own is None or self._own[0] is not scan:
            self._own = scan, FlairThreshold.fit(
                self._tumour(scan.image, scan.brain), scan.tumour, scan.brain, contrasts=("t2f",),
                smooth_px=0.0, pixel_mm=scan.spacing_mm[0],
            )  # fmt: skip
        threshold = self._own[1]
        ratio = threshold.fraction(self._tumour(image, scan.brain)) / threshold.reference_fraction
        return float(ratio * scan.tumour.sum())

    def _tumour(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """Probability of tumour as a picture of one contrast, (1, H, W)."""
        return 1 - self.shares(image, brain)[:1]

    def labels(self, image: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """(H, W) uint8 of canonical labels."""
        smooth = self.shares(image, brain)
        found = np.where(brain, self.trees.classes_[smooth.argmax(0)], 0).astype(np.uint8)
        return np.asarray(np.where(_largest(found > 0), found, 0).astype(np.uint8))

    def overlap(self, store: SliceStore, split: str | None) -> dict[str, float]:
        """Mean Dice over patients of their slices' pixels, by label and of the whole tumour."""
        truth: dict[str, list[np.ndarray]] = {}
        for scan in _scans(store, split):
            found = self.labels(scan.image, scan.brain)
            truth.setdefault(scan.patient, []).append(np.stack([found, scan.labels]))
        out = {}
        for name, chosen in {"tumour": list(NAMES), **{n: [k] for k, n in NAMES.items()}}.items():
            scores = [dice(*np.isin(np.concatenate(pairs, 1), chosen)) for pairs in truth.values()]
            out[name] = float(np.mean([s for s in scores if s is not None]))
        return out


def _scans(store: SliceStore, split: str | None) -> Sequence[AxialSlice]:
    rows = []
    for patient in store.patients(split):
        mine = {r.z: r for r in store.slices(patient=patient) if r.tumour_area_mm2 > 0}
        rows += [mine[z] for z in equally_spaced(list(mine), SLICES)]
    return [store.read(row) for row in rows]


def _largest(mask: np.ndarray) -> np.ndarray:
    """The parts of a mask that are at least a tenth of its largest one."""
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = ndimage.sum_labels(mask, parts, range(1, count + 1))
    return np.isin(parts, 1 + np.flatnonzero(sizes >= 0.1 * sizes.max()))

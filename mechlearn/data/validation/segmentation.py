"""Rules on the segmentation of one visit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mechlearn.data.labels import SCHEMES
from mechlearn.data.validation.findings import Check, Finding
from mechlearn.data.validation.geometry import FLIPS
from mechlearn.data.validation.loaded_visit import LoadedVisit, Rule
from mechlearn.data.volumes import TUMOUR_OUTSIDE

__all__ = ["LABEL_RULES", "enhancement"]

STRAY = 0.01
TUMOUR_SHARE = 0.4
SPECK_ML = 0.05
BRIGHTER = 0.5  # standard deviations of the brain by which a mirrored mask must be brighter
ENOUGH = 50  # voxels of a label that its brightness is judged by

FRACTIONS = Check(
    "labels that are no integers", "error", "a segmentation holds whole numbers",
    "Resample the segmentation with nearest neighbours, not with interpolation.",
)  # fmt: skip
UNKNOWN = Check(
    "unknown labels", "error", "a segmentation holds the labels of its label_scheme alone",
    "Give the scheme of the data set (data.label_scheme, or the manifest's column), or mend the "
    "file.",
)  # fmt: skip
BROKEN_MASKS = Check(
    "masks that are not binary", "error", "each of several masks holds two values",
    "Resample the masks with nearest neighbours; give one file a label.",
)  # fmt: skip
EMPTY = Check(
    "empty segmentation", "warning", "a visit has some tumour",
    "Check that the file is the right one; a visit without tumour can stay.",
)  # fmt: skip
OUTSIDE = Check(
    "tumour outside the brain", "error",
    f"at most {TUMOUR_OUTSIDE:.0%} of the labelled voxels lie outside the brain",
    "The segmentation is shifted, mirrored or another image's: take the right file.",
)  # fmt: skip
SLIGHTLY_OUTSIDE = Check(
    "some tumour outside the brain", "warning",
    f"at most {STRAY:.0%} of the labelled voxels lie outside the brain",
    "Look at the edge: the brain mask may cut the tumour.",
)  # fmt: skip
LARGE = Check(
    "unusually large tumour", "warning", f"labels fill less than {TUMOUR_SHARE:.0%} of the brain",
    "Look at the segmentation: it may be a brain or tissue mask.",
)  # fmt: skip
SPECK = Check(
    "unusually small tumour", "warning", f"a tumour measures {SPECK_ML:g} ml or more",
    "Look at the segmentation: a few stray voxels may be all there is.",
)  # fmt: skip
MIRRORED_MASK = Check(
    "segmentation mirrored", "warning", "the labelled tissue is brighter in FLAIR than its mirror",
    "Look at the segmentation on t2f; flip it back if it lies on the wrong side.",
)  # fmt: skip


def labels_known(visit: LoadedVisit) -> Iterator[Finding]:
    record, seg = visit.record, visit.seg
    if seg is None:
        masks = [visit.scans.get(f"seg={label}") for label in record.masks]
        if masks and all(m is not None and visit.shares_grid(m) for m in masks):
            yield BROKEN_MASKS.at(record, "values between 0 and the largest", file=record.seg)
        return
    found = np.unique(seg)
    found = found[np.isfinite(found)]
    if not np.allclose(found, np.rint(found), rtol=0, atol=1e-3):
        odd = next(float(v) for v in found if abs(v - round(float(v))) > 1e-3)
        yield FRACTIONS.at(record, f"{found.size} different values, such as {odd:g}",
                           file=record.seg)  # fmt: skip
        return
    values = {round(float(v)) for v in found}
    scheme = {0, *SCHEMES[record.label_scheme]}
    unknown = sorted(values - scheme)
    if unknown:
        fitting = [s for s, m in SCHEMES.items() if values <= {0, *m}]
        yield UNKNOWN.at(
            record, f"{_some(unknown)} beside {sorted(values & scheme)}; {record.label_scheme} has "
            f"{', '.join(map(str, SCHEMES[record.label_scheme]))}; "
            f"fitting schemes: {', '.join(fitting) or 'none'}", file=record.seg,
        )  # fmt: skip


def _some(values: list[int]) -> str:
    more = f" and {len(values) - 6} more" if len(values) > 6 else ""
    return f"{values[:6]}{more}"


def extent(visit: LoadedVisit) -> Iterator[Finding]:
    record = visit.record
    if visit.labels is None:
        return
    marked = visit.labels > 0
    n = int(marked.sum())
    if n == 0:
        yield EMPTY.at(record, "no voxel is labelled", file=record.seg)
        return
    if n * visit.voxel_ml < SPECK_ML:
        yield SPECK.at(record, f"{n} voxels, {n * visit.voxel_ml:.3f} ml", file=record.seg)
    if visit.brain is None:
        return
    outside = float(marked[~visit.brain].sum()) / n
    if outside > STRAY:
        check = OUTSIDE if outside > TUMOUR_OUTSIDE else SLIGHTLY_OUTSIDE
        yield check.at(record, f"{outside:.0%} of {n:,} voxels", file=record.seg)
    share = n / max(int(visit.brain.sum()), 1)
    if share > TUMOUR_SHARE:
        yield LARGE.at(record, f"{share:.0%} of the brain", file=record.seg)


def mirrored_mask(visit: LoadedVisit) -> Iterator[Finding]:
    """Tumour and oedema shine in FLAIR: a mask that shines more when flipped is on a wrong side."""
    flair, brain, labels = visit.contrasts.get("t2f"), visit.brain, visit.labels
    if flair is None or brain is None or labels is None or not (labels > 0).any():
        return
    inside = flair.volume[brain].astype(np.float32)
    spread = float(inside.std())
    if not spread > 0:
        return
    marked = labels > 0
    as_is = float(flair.volume[marked].mean())
    for name, axes in FLIPS.items():
        other = np.flip(marked, axes)
        within = float(brain[other].mean())
        gain = (float(flair.volume[other & brain].mean()) - as_is) / spread if within > 0.8 else 0.0
        if gain > BRIGHTER:
            yield MIRRORED_MASK.at(
                visit.record, f"flipped along {name} it is {gain:.1f} SD brighter",
                file=visit.record.seg,
            )  # fmt: skip
            return


def enhancement(visit: LoadedVisit) -> dict[int, float]:
    """Label of the file -> how much more it shines in t1c than in t1n, in SD of the brain."""
    before, after = (visit.contrasts.get(c) for c in ("t1n", "t1c"))
    seg, brain = visit.seg, visit.brain
    if before is None or after is None or seg is None or brain is None:
        return {}
    # The difference of the z-scored images, label by label, with no array of the whole volume.
    scores = [(s.volume, *_moments(s.volume[brain])) for s in (before, after)]
    if min(sd for _, _, sd in scores) <= 0:
        return {}
    out = {}
    for label in SCHEMES[visit.record.label_scheme]:
        at = seg == label
        if int(at.sum()) >= ENOUGH:
            first, second = ((float(v[at].mean()) - mean) / sd for v, mean, sd in scores)
            out[label] = second - first
    return out


def _moments(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


LABEL_RULES: tuple[Rule, ...] = (labels_known, extent, mirrored_mask)

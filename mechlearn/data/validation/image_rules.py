"""Rules on the brain and the intensities of one visit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mechlearn.data.validation.findings import Check, Finding
from mechlearn.data.validation.geometry import FLIPS, best_turn, dice, outline, thumbnail
from mechlearn.data.validation.loaded_visit import LoadedVisit, Rule
from mechlearn.data.validation.scan import Scan
from mechlearn.spatial.intensity import brain_mask

__all__ = ["IMAGE_RULES"]

BRAIN_ML = (600.0, 2200.0)
HEAD_ML = 3000.0
BORDER = 0.10
COVERED = 0.90
TURNED = 0.02  # Dice by which a turned outline must fit better; real brains lie 0.05 to 0.11 apart
BRAINLIKE = 0.75
MIRRORED = 0.02
AT_LIMIT = 0.001
NEGATIVE = 0.001
VALUES = 32
SPREAD = 50.0
SAMPLE = 200_000  # brain voxels that intensities are judged by

NO_BRAIN = Check(
    "no brain to be seen", "error", "skull-stripped images are 0 outside the brain",
    "Strip the skull and set the background to 0, or name a brain_mask in the manifest.",
)  # fmt: skip
HEAD = Check(
    "skull not stripped", "error", f"a brain measures less than {HEAD_ML:g} ml",
    "Strip the skull (HD-BET, SynthStrip), or name a brain_mask in the manifest.",
)  # fmt: skip
VOLUME = Check(
    "unusual brain volume", "warning", f"a brain measures {BRAIN_ML[0]:g} to {BRAIN_ML[1]:g} ml",
    "Look at the image: part of the brain may be cut, or skull left; check the voxel spacing.",
)  # fmt: skip
AT_BORDER = Check(
    "brain at the border", "warning",
    f"less than {BORDER:.0%} of a side of the volume is brain",
    "Look whether the brain is cut off, or skull, neck or background were left in.",
)  # fmt: skip
PARTIAL = Check(
    "contrast without part of the brain", "warning",
    f"each contrast is non-zero in {COVERED:.0%} of the brain of them all",
    "Check its registration and field of view; the file may be another patient's.",
)  # fmt: skip
SIBLING = Check(
    "data mirrored against siblings", "error", "contrasts of a visit show one brain in one place",
    "Flip the data back, or convert the file again; check left and right by eye.",
)  # fmt: skip
TURNED_CASE = Check(
    "visit upside down or back to front", "error",
    "the brain lies as the header says (outline against MNI152; left and right cannot be told)",
    "Mend the affine or flip the data; check left and right by eye as well.",
)  # fmt: skip
NO_BRAIN_SHAPE = Check(
    "not the shape of a brain", "warning",
    f"the outline overlaps that of MNI152 with Dice {BRAINLIKE:g} or more",
    "Look at the image: skull left, brain cut, wrong region, or oblique.",
)  # fmt: skip
CONSTANT = Check(
    "constant contrast", "error", "the brain has more than one value in each contrast",
    "Replace the file: it may be a mask, or its export failed.",
)  # fmt: skip
NEGATIVES = Check(
    "negative intensities", "warning", "brain voxels of an MR image are 0 or more",
    "Check for overflow, or shift values that were z-scored so that background 0 is the lowest.",
)  # fmt: skip
LIMIT = Check(
    "intensities cut or overflown", "warning",
    f"less than {AT_LIMIT:.1%} of the brain holds the largest or smallest value of its number type",
    "Export as int16 with a slope, or as float32.",
)  # fmt: skip
FEW_VALUES = Check(
    "few grey values", "warning", f"a brain has {VALUES} or more distinct values",
    "Export the image again without conversion to a mask or to few levels.",
)  # fmt: skip
OUTLIERS = Check(
    "a few voxels far brighter than all", "warning",
    f"the 99.9th percentile is less than {SPREAD:g} times the median of the brain",
    "Look for artefacts; set data.prepare.percentiles so that tissue fills the range.",
)  # fmt: skip


def brain_there(visit: LoadedVisit) -> Iterator[Finding]:
    if visit.brain is not None or not visit.contrasts:
        return
    mask = visit.scans.get("brain_mask")
    if visit.record.brain_mask is not None:
        if mask is not None and visit.shares_grid(mask):
            yield NO_BRAIN.at(visit.record, "the brain mask is empty", file=mask.path)
        return
    try:
        brain_mask(np.stack([s.volume for s in visit.contrasts.values()]))
    except ValueError as error:
        yield NO_BRAIN.at(visit.record, str(error).split(";")[0].rstrip("."))


def brain_size(visit: LoadedVisit) -> Iterator[Finding]:
    brain = visit.brain
    if brain is None:
        return
    ml = float(brain.sum()) * visit.voxel_ml
    if ml > HEAD_ML:
        yield HEAD.at(visit.record, f"{ml:,.0f} ml are not 0")
    elif not BRAIN_ML[0] <= ml <= BRAIN_ML[1]:
        yield VOLUME.at(visit.record, f"{ml:,.0f} ml")
    faces = [np.take(brain, at, axis).mean() for axis in range(3) for at in (0, -1)]
    if max(faces) > BORDER:
        names = ("lowest", "highest", "front", "back", "right", "left")
        side = names[int(np.argmax(faces))]
        yield AT_BORDER.at(visit.record, f"{max(faces):.0%} of the {side} plane")


def coverage(visit: LoadedVisit) -> Iterator[Finding]:
    if visit.brain is None:
        return
    for name, scan in visit.contrasts.items():
        share = float((scan.volume[visit.brain] != 0).mean())
        if share < COVERED and not scan.is_constant:
            found = f"{name} is 0 in {1 - share:.0%} of the brain"
            yield PARTIAL.at(visit.record, found, file=scan.path)


def mirrored_sibling(visit: LoadedVisit) -> Iterator[Finding]:
    """A contrast whose data are flipped: its mask fits its siblings' better when flipped back."""
    small = {c: thumbnail(s.volume != 0, visit.spacing_mm) for c, s in visit.contrasts.items()}
    for name, mine in small.items():
        others = [other for c, other in small.items() if c != name]
        if len(others) < 2 or not mine.any():
            continue
        shared = np.median(others, axis=0)
        as_is = dice(mine, shared)
        turned = {f: dice(np.flip(mine, axes), shared) for f, axes in FLIPS.items()}
        flip = max(turned, key=lambda f: turned[f])
        if turned[flip] > as_is + MIRRORED:
            found = f"{name} along {flip}: Dice {turned[flip]:.2f} flipped, {as_is:.2f} as it is"
            yield SIBLING.at(visit.record, found, file=visit.contrasts[name].path)


def turned_case(visit: LoadedVisit) -> Iterator[Finding]:
    if visit.brain is None:
        return
    as_is, best, name = best_turn(outline(visit.brain))
    if best > as_is + TURNED and best >= BRAINLIKE:
        yield TURNED_CASE.at(visit.record, f"{name} it fits Dice {best:.2f}, as it is {as_is:.2f}")
    elif best < BRAINLIKE:
        yield NO_BRAIN_SHAPE.at(visit.record, f"Dice {best:.2f}")


def intensities(visit: LoadedVisit) -> Iterator[Finding]:
    if visit.brain is None:
        return
    step = max(int(visit.brain.sum()) // SAMPLE, 1)
    for scan in visit.contrasts.values():
        if scan.is_constant:
            continue
        values = scan.volume[visit.brain][::step]
        values = values[np.isfinite(values)]
        for check, found in _broken(values, scan, visit.spec.percentiles):
            yield check.at(visit.record, f"{scan.key}: {found}", file=scan.path)


def _broken(
    values: np.ndarray, scan: Scan, percentiles: tuple[float, float]
) -> Iterator[tuple[Check, str]]:
    if values.size == 0:
        return
    negative = float((values < 0).mean())
    if negative > NEGATIVE:
        yield NEGATIVES, f"{negative:.1%} of the brain, down to {float(values.min()):g}"
    distinct = np.unique(values).size
    low, high = (float(p) for p in np.percentile(values, percentiles))
    if not low < high:
        yield CONSTANT, f"brain voxels run from {low:g} to {high:g}"
    elif distinct < VALUES:
        yield FEW_VALUES, f"{distinct} values"
    elif scan.stored_type.kind in "iu" and values.dtype.kind in "iu":
        limits = np.iinfo(scan.stored_type)
        for limit in {limits.min, limits.max} - {0}:
            share = float((values == limit).mean())
            if share > AT_LIMIT:
                yield LIMIT, f"{share:.1%} of the brain is {limit}"
    median, bright = (float(p) for p in np.percentile(values, [50.0, 99.9]))
    if median > 0 and bright > SPREAD * median:
        yield OUTLIERS, f"median {median:g}, 99.9th percentile {bright:g}"


IMAGE_RULES: tuple[Rule, ...] = (
    brain_there, brain_size, coverage, mirrored_sibling, turned_case, intensities,
)  # fmt: skip

"""One patient examined in one process: each visit by itself, then the visits beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.validation.file_rules import FILE_RULES, digests
from mechlearn.data.validation.findings import Check, Finding
from mechlearn.data.validation.geometry import (
    FLIPS,
    apart_mm,
    axis_codes,
    dice,
    mirrored_axes,
    thumbnail,
)
from mechlearn.data.validation.image_rules import IMAGE_RULES
from mechlearn.data.validation.loaded_visit import LoadedVisit, load
from mechlearn.data.validation.scan import digest_of
from mechlearn.data.validation.segmentation import LABEL_RULES, enhancement
from mechlearn.data.volumes import SAME_PLACE_MM, lay_out

__all__ = ["Examined", "examine_patient"]

RULES = (*FILE_RULES, *IMAGE_RULES, *LABEL_RULES)
MIRRORED = 0.01  # Dice; real brains differ from their own mirror by 0.02 and more

UNFIT = Check(
    "refused by prepare", "error", "prepare takes the visit with data.prepare as it is",
    "Follow the message, or change data.prepare.",
)  # fmt: skip
NOT_REGISTERED = Check(
    "visits on different grids", "error",
    "visits of a patient share one voxel grid (slices are followed over time)",
    "Co-register the visits to the first and resample them to its grid.",
)  # fmt: skip
MIRRORED_VISIT = Check(
    "visit mirrored against the first", "warning",
    "the brain of a patient has one shape at all visits",
    "Compare the visits by eye: one may be flipped, or be another patient's.",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Examined:
    """What the cohort's rules need of a visit, and what was found in it.

    Attributes:
        digests: contrast, seg or brain -> digest of its voxels.
        codes: axis codes of the files, '' if none could be read.
        enhancement: label of the file -> brightness in t1c above t1n, in SD of the brain.
    """

    record: VisitRecord
    findings: tuple[Finding, ...]
    digests: dict[str, str]
    codes: str
    enhancement: dict[int, float]


def examine_patient(records: Sequence[VisitRecord], spec: PrepareSpec) -> list[Examined]:
    """Examine a patient's visits, in the order in which `prepare` takes them."""
    out: list[Examined] = []
    first: _Place | None = None
    offset: tuple[int, int] | None = None
    for record in records:
        visit, findings = load(record, spec)
        for rule in RULES:
            findings += rule(visit)
        if not any(f.severity == "error" for f in findings):
            place, found = _as_prepare_would(visit, offset)
            offset = offset or place
            findings += found
        here = _place(visit)
        if here is not None and first is not None:
            findings += _beside(here, first)
        first = first or here
        out.append(_examined(visit, findings))
    return out


def _as_prepare_would(
    visit: LoadedVisit, offset: tuple[int, int] | None
) -> tuple[tuple[int, int] | None, list[Finding]]:
    """Where the grid would lie, and the reason if `prepare` would refuse."""
    record, source = visit.record, visit.source
    if isinstance(source, str):
        return None, [UNFIT.at(record, _bare(source, record))]
    there = tuple(c for c in visit.spec.contrasts if c in record.images)
    spec, arrays = replace(visit.spec, contrasts=there), (source.volumes, source.labels)
    try:
        layout = lay_out(record, spec, *arrays, source.affine, brain=source.brain, offset=offset)
    except ValueError as error:
        return None, [UNFIT.at(record, _bare(str(error), record))]
    return layout.placement.offset, []


def _bare(message: str, record: VisitRecord) -> str:
    """A message without the visit's name, which the table tells."""
    for word in ("visit", "case"):
        message = message.removeprefix(f"{word} {record.name}: ")
    return message


def _examined(visit: LoadedVisit, findings: list[Finding]) -> Examined:
    marks = {k: d for k, d in digests(visit).items() if k in visit.spec.contrasts}
    if visit.labels is not None and (visit.labels > 0).any():
        marks["seg"] = digest_of(visit.labels)
    if visit.brain is not None:
        marks["brain"] = digest_of(np.packbits(visit.brain))
    codes = "" if visit.reference is None else axis_codes(visit.reference.image.affine)
    return Examined(visit.record, tuple(findings), marks, codes, enhancement(visit))


@dataclass(frozen=True, eq=False)
class _Place:
    record: VisitRecord
    shape: tuple[int, ...]
    affine: np.ndarray
    small: np.ndarray | None  # the brain in cells of 4 mm


def _place(visit: LoadedVisit) -> _Place | None:
    if visit.reference is None:
        return None
    image: Any = visit.reference.image
    small = None if visit.brain is None else thumbnail(visit.brain, visit.spacing_mm)
    return _Place(visit.record, image.shape, image.affine, small)


def _beside(here: _Place, first: _Place) -> list[Finding]:
    """A visit beside the patient's first: grid and shape of the brain."""
    if here.shape != first.shape:
        found = f"shape {here.shape}, session {first.record.session} has {first.shape}"
        return [NOT_REGISTERED.at(here.record, found)]
    apart = apart_mm(here.shape, here.affine, first.affine)
    if apart > SAME_PLACE_MM:
        mirrored = " and ".join(mirrored_axes(here.affine, first.affine))
        how = f"header mirrored along {mirrored}, " if mirrored else ""
        found = f"{how}{apart:.1f} mm from session {first.record.session}"
        return [NOT_REGISTERED.at(here.record, found)]
    if here.small is None or first.small is None:
        return []
    as_is = dice(here.small, first.small)
    turned = {f: dice(np.flip(here.small, axes), first.small) for f, axes in FLIPS.items()}
    flip = max(turned, key=lambda f: turned[f])
    if turned[flip] <= as_is + MIRRORED:
        return []
    found = (
        f"flipped along {flip} it fits session {first.record.session} with Dice "
        f"{turned[flip]:.2f}, as it is {as_is:.2f}"
    )
    return [MIRRORED_VISIT.at(here.record, found)]

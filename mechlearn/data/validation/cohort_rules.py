"""Rules over the whole cohort: copies between visits, odd ones out, labels of another scheme."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from mechlearn.data.labels import CANONICAL, SCHEMES
from mechlearn.data.validation.findings import Check, Finding
from mechlearn.data.validation.patient_rules import Examined

__all__ = ["cohort_findings"]

MAJORITY = 0.6
FEW_VISITS = 3
SHINES = 0.4  # SD: a label that shines less is not judged

DUPLICATE = Check(
    "duplicated patient", "error",
    "an image belongs to one patient; else one person is trained on and tested on",
    "Give both the same patient name, or drop one of them.",
)  # fmt: skip
DUPLICATE_SEG = Check(
    "segmentation of another patient", "error", "a segmentation belongs to one patient",
    "Take the right file: one of the two was copied over.",
)  # fmt: skip
SAME_BRAIN = Check(
    "two patients with one brain outline", "warning",
    "two people's brains differ (a common template mask hides that)",
    "Compare them by eye: it may be one patient with other intensities.",
)  # fmt: skip
REPEATED = Check(
    "image repeated at another visit", "warning", "each visit must have different images",
    "Take the right file of each visit, or drop the copy.",
)  # fmt: skip
REPEATED_SEG = Check(
    "segmentation repeated at another visit", "warning",
    "each visit is segmented for itself: a copy says that nothing grew",
    "Take the right segmentation, or drop the visit.",
)  # fmt: skip
OTHER_AXES = Check(
    "other axis order than the cohort", "warning", "the files of a cohort have one axis order",
    "Check left and right of these by eye; prepare reorders axes by the header.",
)  # fmt: skip
OTHER_SCHEME = Check(
    "labels of another scheme", "warning",
    "the label that the scheme calls enhancing is the one that shines most in t1c",
    "Check the label_scheme of this data set (README.md lists them).",
)  # fmt: skip


def cohort_findings(visits: Sequence[Examined]) -> Iterator[Finding]:
    """Findings that no visit shows by itself."""
    yield from duplicates(visits)
    yield from axis_orders(visits)
    yield from schemes(visits)


def duplicates(visits: Sequence[Examined]) -> Iterator[Finding]:
    """Equal voxels under two names: each visit against the first that holds them."""
    first: dict[tuple[str, str], Examined] = {}
    for visit in sorted(visits, key=lambda v: (v.record.patient, v.record.session)):
        shared: dict[str, list[str]] = defaultdict(list)
        origin: dict[str, Examined] = {}
        for key, digest in visit.digests.items():
            kind = key if key in ("seg", "brain") else "image"
            other = first.setdefault((kind, digest), visit)
            if other is not visit:
                shared[other.record.name].append(key)
                origin[other.record.name] = other
        for name, keys in shared.items():
            yield from _copied(visit, origin[name], keys)


def _copied(visit: Examined, other: Examined, keys: Sequence[str]) -> Iterator[Finding]:
    record, same = visit.record, visit.record.patient == other.record.patient
    images = [k for k in keys if k not in ("seg", "brain")]
    if images:
        what = images + [k for k in keys if k == "seg" and not same]
        found = f"{', '.join(what)}: same voxels as {other.record.name}"
        yield (REPEATED if same else DUPLICATE).at(record, found)
    if "seg" in keys and (same or not images):
        found = f"same labels as {other.record.name}"
        yield (REPEATED_SEG if same else DUPLICATE_SEG).at(record, found, file=record.seg)
    if not images and not same and "brain" in keys:
        yield SAME_BRAIN.at(record, f"voxel by voxel that of {other.record.name}")


def axis_orders(visits: Sequence[Examined]) -> Iterator[Finding]:
    counts = Counter(v.codes for v in visits if v.codes)
    if len(counts) < 2:
        return
    usual, n = counts.most_common(1)[0]
    if n < MAJORITY * counts.total():
        found = ", ".join(f"{codes} {k} times" for codes, k in counts.most_common())
        yield OTHER_AXES.of("", found)
        return
    for visit in visits:
        if visit.codes not in ("", usual):
            found = f"{visit.codes}; {n} of {counts.total()} visits are {usual}"
            yield OTHER_AXES.at(visit.record, found)


def schemes(visits: Sequence[Examined]) -> Iterator[Finding]:
    """Of each data set: which of its labels shines most in t1c, in most of its visits."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for visit in visits:
        if len(visit.enhancement) > 1:
            top = max(visit.enhancement, key=lambda k: visit.enhancement[k])
            if visit.enhancement[top] > SHINES:
                groups[visit.record.source, visit.record.label_scheme].append(top)
    for (source, scheme), tops in sorted(groups.items()):
        label, n = Counter(tops).most_common(1)[0]
        meant = CANONICAL["enhancing"]
        right = sum(SCHEMES[scheme].get(top) == meant for top in tops)
        if len(tops) < FEW_VISITS or n < MAJORITY * len(tops) or right >= n:
            continue
        fitting = [s for s, m in SCHEMES.items() if m.get(label) == meant]
        found = (
            f"source {source or '(none)'}, {scheme}: in {n} of {len(tops)} visits label {label} "
            f"shines most; it is enhancing in {', '.join(fitting) or 'no scheme'}"
        )
        yield OTHER_SCHEME.of("", found)

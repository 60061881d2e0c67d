"""What the adapters share: folders, files, visits that cannot be used, days of a patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from mechlearn.data.labels import SCHEMES
from mechlearn.data.manifest import VisitRecord, check_records

__all__ = [
    "FILE_ENDINGS",
    "Gaps",
    "Roots",
    "Tree",
    "checked_scheme",
    "finish",
    "is_image",
    "one_file",
    "optional_file",
    "walk",
]

Roots = str | Path | Sequence[str | Path]
FILE_ENDINGS = (".nii.gz", ".nii")
SHOWN = 10  # gaps that an error lists


def is_image(path: Path) -> bool:
    return path.name.endswith(FILE_ENDINGS)


@dataclass(frozen=True)
class Tree:
    """What lies below the roots: folders of cases, and the files in all other folders."""

    cases: list[Path]
    loose: list[Path]


def walk(
    root: Roots,
    is_case: Callable[[Path], bool],
    *,
    what: str,
    expected: str,
    allowed: Callable[[str], bool] = lambda name: False,
) -> Tree:
    """Find the folders of cases below one or several roots; hidden files are overlooked.

    Args:
        root: folder or folders; cases may lie deeper, and a root may be a case itself.
        is_case: whether a folder is that of a case; its inside is not walked.
        what: the data set is called.
        expected: the layout, in words.
        allowed: names of images that may lie outside the cases.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a root without a case, or images outside the cases.
    """
    roots = [root] if isinstance(root, (str, Path)) else list(root)
    tree = Tree([], [])
    for folder in map(Path, roots):
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder. Check data.root.")
        before = len(tree.cases)
        _descend(folder, is_case, tree)
        if len(tree.cases) == before:
            raise ValueError(f"{folder}: found no {what} case; {expected}. Check data.root.")
    foreign = [path for path in tree.loose if is_image(path) and not allowed(path.name)]
    if foreign:
        beside = [p.name for p in foreign if p.parent == foreign[0].parent]
        raise ValueError(
            f"{foreign[0].parent}: found images {beside[:6]} in a folder that is no {what} case; "
            f"{expected}. Move them away, or write a manifest for them."
        )
    return tree


def _descend(folder: Path, is_case: Callable[[Path], bool], tree: Tree) -> None:
    if is_case(folder):
        tree.cases.append(folder)
        return
    for entry in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        if entry.is_dir():
            _descend(entry, is_case, tree)
        else:
            tree.loose.append(entry)


def one_file(folder: Path, *stems: str, key: str) -> Path:
    """The one NIfTI file of `folder` with one of the names; ValueError with found and expected."""
    found = optional_file(folder, *stems, key=key)
    if found is None:
        names = [f"{stem}{ending}" for stem in stems for ending in FILE_ENDINGS]
        holds = sorted(p.name for p in folder.iterdir())[:12] if folder.is_dir() else "nothing"
        raise ValueError(
            f"{folder}: expected one file {' or '.join(names)} for {key}, found 0; "
            f"the folder holds {holds}."
        )
    return found


def optional_file(folder: Path, *stems: str, key: str) -> Path | None:
    """As `one_file`, but None if there is none; ValueError if there are several."""
    paths = [folder / f"{stem}{ending}" for stem in stems for ending in FILE_ENDINGS]
    found = [path for path in paths if path.is_file()]
    if len(found) > 1:
        raise ValueError(
            f"{folder}: expected one file for {key}, found {len(found)}: "
            f"{[p.name for p in found]}. Move all but one away."
        )
    return found[0] if found else None


def checked_scheme(label_scheme: str | None, default: str) -> str:
    """The scheme that was given, or the data set's; ValueError for an unknown one."""
    if label_scheme is not None and label_scheme not in SCHEMES:
        raise ValueError(f"label_scheme={label_scheme!r}: must be one of {', '.join(SCHEMES)}.")
    return label_scheme or default


class Gaps:
    """Visits that cannot be used, and why: refused all at once, or left out where that was asked.

    Args:
        missing: None to refuse; else the list that takes one message a visit.
    """

    def __init__(self, missing: list[str] | None) -> None:
        self._missing = missing
        self._found: list[str] = []

    def add(self, message: str) -> None:
        self._found.append(message)

    @contextmanager
    def catch(self, place: Path) -> Iterator[None]:
        """A ValueError within is a gap, with the place before it unless the message names one."""
        try:
            yield
        except ValueError as error:
            text = str(error)
            self.add(text if text.startswith("/") or str(place) in text else f"{place}: {text}")

    def settle(self) -> None:
        """ValueError for the gaps unless they may be left out; they are then in `missing`."""
        if self._missing is not None:
            self._missing += self._found
        elif self._found:
            shown = "\n  ".join(self._found[:SHOWN])
            more = len(self._found) - SHOWN
            rest = f"\n  and {more} more" if more > 0 else ""
            raise ValueError(
                f"{len(self._found)} visits or patients cannot be used:\n  {shown}{rest}\n"
                "Complete them, move them out of data.root, or leave them out with "
                "data.skip_bad=true."
            )


def finish(records: Iterable[VisitRecord], gaps: Gaps, *, what: str) -> list[VisitRecord]:
    """Check and sort what an adapter found, by patient and day; days from the first visit.

    Days may come from any origin (a diagnosis, a date): those of visits and treatment are shifted
    so that the patient's first visit is day 0. A patient whose visits have no day keeps none for
    the treatment either. Where some visits have a day, the others are gaps.

    Raises:
        ValueError: a visit twice, gaps that were not asked to be left out, nothing left, rules of
            the manifest.
    """
    seen: dict[str, VisitRecord] = {}
    for record in records:
        before = seen.setdefault(record.name, record)
        if before is not record:
            raise ValueError(
                f"{record.seg.parent}: {record.name} was found before at {before.seg.parent}. "
                "Give each folder once."
            )
    ordered = sorted(seen.values(), key=lambda r: r.patient)
    found: list[VisitRecord] = []
    for _, visits in groupby(ordered, key=lambda r: r.patient):
        found += _from_first_visit(list(visits), gaps)
    gaps.settle()
    if not found:
        raise ValueError(f"{what}: no visit can be used. Check data.root.")
    check_records(found, where=what)
    return found


def _from_first_visit(visits: list[VisitRecord], gaps: Gaps) -> list[VisitRecord]:
    days = [v.day for v in visits if v.day is not None]
    if not days:
        blank = [replace(v, rt_start_day=None, rt_end_day=None, surgery_day=None, treatment_days={})
                 for v in visits]  # fmt: skip
        return sorted(blank, key=lambda v: v.session)
    for visit in visits:
        if visit.day is None:
            gaps.add(
                f"{visit.seg.parent}: {visit.name} has no day in the table, other visits of the "
                "patient have; it cannot be put in order."
            )
    first = min(days)
    dated = [v for v in visits if v.day is not None]
    return [_shifted(v, first) for v in sorted(dated, key=lambda v: (v.day or 0.0, v.session))]


def _shifted(visit: VisitRecord, first: float) -> VisitRecord:
    def since(day: float | None) -> float | None:
        return None if day is None else day - first

    return replace(
        visit,
        day=since(visit.day),
        rt_start_day=since(visit.rt_start_day),
        rt_end_day=since(visit.rt_end_day),
        surgery_day=since(visit.surgery_day),
        treatment_days={key: value - first for key, value in visit.treatment_days.items()},
    )

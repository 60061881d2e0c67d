"""The slice store: prepared axial slices on disk, opened quickly and read by row.

<root>/store.json       spec of the slices
<root>/splits.json      patient -> train | val | test
<root>/unfinished.json  only while visits are prepared, or after that was stopped
<root>/visits/<patient>/<session>/
    slices.b2nd  images (S, C, H, W) float16 in [-1, 1], background -1; canonical labels; brain
    visit.json   record, grid placement, intensity range, index of the slices
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mechlearn.data.courses import RT_DURATION_DAYS, courses
from mechlearn.data.slices import NAME, OpenFiles, SliceFile
from mechlearn.data.splits import SPLITS, read_splits
from mechlearn.data.store_spec import FORMAT, PrepareSpec, checked_contrasts
from mechlearn.data.stored_visit import SliceRow, StoredVisit, check_registered
from mechlearn.data.surroundings import surroundings_of
from mechlearn.files import exclusive, read_json
from mechlearn.records import AxialSlice, LongitudinalSlice, Radiotherapy, SizeReading, SizeSeries
from mechlearn.spatial.intensity import BACKGROUND

__all__ = ["UNFINISHED", "SliceRow", "SliceStore", "StoredVisit"]

UNFINISHED = "unfinished.json"


class SliceStore:
    """A slice store opened for reading. The index is read once, slices when they are asked for.

    Args:
        root: folder of the store.
        contrasts: channels to read, in this order; None for all. Visits that have none of them
            are left out.
        unfinished: open it although its preparation was stopped or still runs. Otherwise the
            end of a running one is waited for.

    Raises:
        FileNotFoundError: no store there.
        ValueError: a store of another format or an unfinished one, or a contrast it lacks.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        contrasts: Sequence[str] | None = None,
        unfinished: bool = False,
    ) -> None:
        self.root = Path(root)
        if not (self.root / "store.json").is_file():
            raise FileNotFoundError(
                f"{self.root}: no slice store here (store.json is missing). "
                "Make one with python -m mechlearn.prepare."
            )
        path = self.root / "store.json"
        self.spec, held = PrepareSpec.read(path), read_json(path)["format"]
        if held != FORMAT:
            raise ValueError(
                f"{path}: store format {held}, this version reads {FORMAT}. "
                "Prepare the data again with the same command; the splits are kept."
            )
        if not unfinished and (self.root / UNFINISHED).is_file():
            self._wait()
        self.splits = read_splits(self.root / "splits.json")
        asked = contrasts or self.spec.contrasts
        self.contrasts = checked_contrasts("data.contrasts", asked, self.spec.contrasts)
        self._open = OpenFiles(SliceFile)
        self._around = OpenFiles(surroundings_of, most=2)  # a few MB and a second a visit

    def _wait(self) -> None:
        """Wait for a running preparation; ValueError if it was stopped."""
        with exclusive(self.root, what="prepares this store"):
            if (self.root / UNFINISHED).is_file():
                raise ValueError(
                    f"{self.root}: its preparation was stopped before its end or refused visits "
                    "(bad_visits.json); they are missing. Prepare again with the same command: it "
                    "goes on from there and names what it refuses."
                )

    def __getstate__(self) -> dict[str, Any]:
        """Without the index: a loader worker gets its rows and reads the index on demand."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_visits", "_rows")}

    def card(self) -> dict[str, Any]:
        """What a checkpoint must know of its data, in plain builtins."""
        return {
            "contrasts": list(self.contrasts),
            "size": self.spec.size,
            "pixel_mm": self.spec.pixel_mm,
            "intensity": {
                "percentiles": list(self.spec.percentiles),
                "of": "brain voxels of each volume and contrast",
                "range": [-1.0, 1.0],
                "background": BACKGROUND,
            },
        }

    @cached_property
    def _visits(self) -> dict[tuple[str, str], StoredVisit]:
        folders = sorted(self.root.glob("visits/*/*/visit.json"))
        visits = [StoredVisit.open(path.parent) for path in folders]
        if self.contrasts != self.spec.contrasts:
            visits = [v for v in (v.select(self.contrasts) for v in visits) if any(v.present)]
        visits.sort(key=lambda v: (v.patient, v.day if v.day is not None else 0.0, v.session))
        return {(v.patient, v.session): v for v in visits}

    @cached_property
    def _rows(self) -> dict[tuple[str, str], list[SliceRow]]:
        return {key: visit.rows() for key, visit in self._visits.items()}

    def patients(self, split: str | None = None) -> list[str]:
        """Patients with at least one prepared visit, sorted; of one split if given."""
        present = dict.fromkeys(patient for patient, _ in self._visits)
        if split is None:
            return list(present)
        if split not in SPLITS:
            raise ValueError(f"split={split!r}: must be one of {', '.join(SPLITS)}.")
        return [p for p in present if self.splits.get(p) == split]

    def visits(self, patient: str) -> list[StoredVisit]:
        """A patient's visits in order of day (of session where there are no days)."""
        found = [v for (p, _), v in self._visits.items() if p == patient]
        if not found:
            raise KeyError(
                f"{self.root}: no patient {patient!r}; it holds {len(self.patients())} patients, "
                f"such as {self.patients()[:3]}."
            )
        return found

    def visit(self, patient: str, session: str) -> StoredVisit:
        """One visit; KeyError with the sessions there are if it is not in the store."""
        if (patient, session) not in self._visits:
            sessions = [v.session for v in self.visits(patient)]
            raise KeyError(f"{patient}: no session {session!r}; the store holds {sessions}.")
        return self._visits[patient, session]

    def slices(
        self, split: str | None = None, *, patient: str | None = None, session: str | None = None
    ) -> list[SliceRow]:
        """Index rows, in order of patient, day and z."""
        wanted = set(self.patients(split)) if patient is None else {patient}
        if patient is not None:
            self.visits(patient)
        return [
            row
            for (p, s), rows in self._rows.items()
            if p in wanted and session in (None, s)
            for row in rows
        ]

    def arrays(self, row: SliceRow) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(image (C, H, W) float16, labels (H, W) uint8, brain (H, W) bool) of one slice."""
        images, labels, brain = self.batch([row])
        return images[0], labels[0], brain[0]

    def batch(
        self,
        rows: Sequence[SliceRow],
        *,
        channels: Sequence[int] | None = None,
        out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slices read into new arrays, quickly, in any process.

        Args:
            rows: B lines of the index, in any order; `row.present` says which contrasts are real.
            channels: C places in `contrasts`; None for all. Those left out are not decoded.
            out: where the images go, contiguous; None for a new array.

        Returns:
            images (B, C, H, W) float16, labels (B, H, W) uint8, brain (B, H, W) bool.
        """
        names = [self.contrasts[c] for c in channels] if channels is not None else self.contrasts
        whole = tuple(names) == self.spec.contrasts
        stored = None if whole else [self.spec.contrasts.index(name) for name in names]
        plane = (self.spec.size, self.spec.size)
        images = np.empty((len(rows), len(names), *plane), np.float16) if out is None else out
        masks = np.empty((len(rows), *plane), np.uint16)
        for row, image, mask in zip(rows, images, masks, strict=True):
            file = self._open(self.root / "visits" / row.patient / row.session / NAME)
            file.image(row.row, image, stored)
            file.masks(row.row, mask)
        return images, *SliceFile.unpack(masks)

    def read(self, row: SliceRow, *, surroundings: bool = False) -> AxialSlice:
        """The slice of an index row, copied into memory, image as float32.

        Args:
            row: of the index.
            surroundings: also tell how near the visit's tumour is in space, for
                `spatial.arrival_order.growth_order`; a second for the first slice of a visit.
        """
        image, labels, brain = self.arrays(row)
        around = None
        if surroundings:
            around = self._around(self.root / "visits" / row.patient / row.session)
        return AxialSlice(
            patient=row.patient,
            session=row.session,
            day=float("nan") if row.day is None else row.day,
            z=row.z,
            image=image.astype(np.float32),
            labels=labels,
            brain=brain,
            spacing_mm=(self.spec.pixel_mm, self.spec.pixel_mm),
            contrasts=self.contrasts,
            surroundings=None if around is None else around.at(row.row),
        )

    def courses(
        self, patient: str, rt_duration_days: float = RT_DURATION_DAYS
    ) -> tuple[Radiotherapy, ...]:
        """The patient's courses of radiotherapy by day, from all visits that know of one; where
        only an end is known that course began `rt_duration_days` earlier."""
        records = [v.record for v in self.visits(patient)]
        return courses(
            records, where=f"{self.root}: patient={patient}", rt_duration_days=rt_duration_days
        )

    def common_zs(self, patient: str) -> list[int]:
        """Slices that every visit of the patient has; the visits must be co-registered."""
        visits = self.visits(patient)
        check_registered(visits)
        return sorted(set(visits[0].zs).intersection(*(v.zs for v in visits[1:])))

    def timeline(
        self, patient: str, z: int, *, rt_duration_days: float = RT_DURATION_DAYS
    ) -> SizeSeries:
        """Tumour area of one slice over the visits, from the index alone (no image is read)."""
        visits = self.visits(patient)
        undated = [v.session for v in visits if v.day is None]
        if undated:
            raise ValueError(
                f"{patient}: sessions {undated} have no day; growth needs days. Fill in the "
                "manifest's day column and prepare again."
            )
        points = tuple(
            SizeReading(float(v.day or 0.0), v.tumour_area_mm2(z), v.session) for v in visits
        )
        treated = self.courses(patient, rt_duration_days)
        return SizeSeries(f"{patient}/z{z:03d}", patient, points, treated)

    def longitudinal(
        self,
        patient: str,
        *,
        zs: Sequence[int] | None = None,
        rt_duration_days: float = RT_DURATION_DAYS,
    ) -> list[LongitudinalSlice]:
        """The same slices over all visits of a patient: all common z, or those asked for.

        The last two visits, from which a forecast starts, know their surroundings.

        Raises:
            ValueError: visits on different source grids (not co-registered).
            KeyError: a z that some visit does not have.
        """
        visits = self.visits(patient)
        treated = self.courses(patient, rt_duration_days)
        check_registered(visits)
        chosen = self.common_zs(patient) if zs is None else zs
        scans = [
            [
                self.read(self._rows[patient, v.session][v.row_of(z)], surroundings=near_end)
                for z in chosen
            ]
            for v, near_end in zip(visits, _last(2, len(visits)), strict=True)
        ]
        return [LongitudinalSlice(slices, treated) for slices in zip(*scans, strict=True)]


def _last(count: int, of: int) -> list[bool]:
    return [i >= of - count for i in range(of)]

"""Growth maps of all methods on the slices of longitudinal jobs, read from their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mechlearn.evaluation.slice_forecast import SliceForecast

__all__ = ["FOLDERS", "MapCase", "Progression", "joined_cases", "kept_arrays", "read_cases"]

FOLDERS = ("cases", "slices")  # folders of finished slices in a job
N_SHOWN = 5  # generations kept for figures, evenly spaced over the targets
DRAWN = ("dynamic", "static")  # maps computed from generations
_PREFIX = "probability_"


@dataclass(frozen=True)
class Progression:
    """Generations at rising targets: images (K, H, W) of FLAIR, areas (K,) in mm2."""

    images: np.ndarray
    areas_mm2: np.ndarray


@dataclass(frozen=True)
class MapCase:
    """One slice (or volume) with a forecast: the true follow-up, and a map of every method.

    Attributes:
        name: of the slice. patient: of the patient.
        initial, truth, brain: (H, W) bool, or (Z, H, W).
        spacing_mm: pixel size along each axis.
        maps: method -> probability of tumour or of growth, (H, W) in [0, 1].
        scan, follow_up: FLAIR at the last used visit and at the held-out visit, (H, W).
        progression: generations by method, for figures.
    """

    name: str
    patient: str
    initial: np.ndarray
    truth: np.ndarray
    brain: np.ndarray
    spacing_mm: tuple[float, ...]
    maps: Mapping[str, np.ndarray]
    scan: np.ndarray
    follow_up: np.ndarray
    progression: Mapping[str, Progression]

    @property
    def region(self) -> np.ndarray:
        """Pixels of the scores of probabilities: brain outside the initial tumour."""
        return np.asarray(self.brain & ~self.initial)


def kept_arrays(made: SliceForecast) -> dict[str, np.ndarray]:
    """Arrays of a finished slice: maps of all methods, masks, scans, some generations."""
    reference, truth = made.reference, made.follow_up
    assert truth is not None
    drawn = {name: grown.probability for name, grown in made.maps.items()}
    flair = reference.contrasts.index("t2f") if "t2f" in reference.contrasts else -1
    ordered = sorted(made.generations, key=lambda g: g.target.tumour_fraction)
    at = np.unique(np.linspace(0, len(ordered) - 1, N_SHOWN).round().astype(int))
    shown = [ordered[i] for i in at]
    return {
        **{_PREFIX + k: p.astype(np.float16) for k, p in {**made.baselines, **drawn}.items()},
        "initial": reference.tumour, "truth": truth.tumour, "brain": reference.brain,
        "spacing_mm": np.array(reference.spacing_mm),
        "patient": np.array(made.timeline.patient), "name": np.array(made.timeline.name),
        "scan": reference.image[flair].astype(np.float16),
        "follow_up": truth.image[flair].astype(np.float16),
        "progression": np.stack([g.image[flair].numpy() for g in shown]).astype(np.float16),
        "progression_mm2": np.array([g.target.tumour_fraction for g in shown])
        * reference.brain_area_mm2,
    }  # fmt: skip


def read_cases(
    folder: str | Path, *, suffix: str = "", drawn_only: bool = True
) -> Iterator[MapCase]:
    """The finished slices of one job, in order of file name.

    Args:
        folder: output folder of a longitudinal job.
        suffix: appended to names of maps, to distinguish jobs.
        drawn_only: append the suffix only to maps from generations (`dynamic`, `static`), because
            baselines are the same in all jobs with the same size forecasts.
    """
    paths = [p for name in FOLDERS for p in sorted((Path(folder) / name).glob("*.npz"))]
    for path in paths:
        with np.load(path) as held:
            if "progression" in held:
                yield _case(dict(held), suffix, drawn_only)


def _case(held: Mapping[str, np.ndarray], suffix: str, drawn_only: bool) -> MapCase:
    maps = {k.removeprefix(_PREFIX): v.astype(np.float32)
            for k, v in held.items() if k.startswith(_PREFIX)}  # fmt: skip
    named = {k if drawn_only and k not in DRAWN else k + suffix: v for k, v in maps.items()}
    no_change = np.asarray(held["initial"], np.float32)
    return MapCase(
        str(held["name"]), str(held["patient"]), held["initial"], held["truth"], held["brain"],
        tuple(held["spacing_mm"].tolist()), {"no_change": no_change, **named},
        held["scan"].astype(np.float32), held["follow_up"].astype(np.float32),
        {f"dynamic{suffix}": Progression(held["progression"].astype(np.float32),
                                         held["progression_mm2"])},
    )  # fmt: skip


def joined_cases(jobs: Sequence[Sequence[MapCase]]) -> tuple[list[MapCase], int]:
    """Slices that all jobs have, with the maps of all jobs; and the number of other slices."""
    by_name = [{case.name: case for case in job} for job in jobs]
    shared = [name for name in by_name[0] if all(name in job for job in by_name)]
    out = []
    for name in shared:
        cases = [job[name] for job in by_name]
        maps = {k: v for case in cases for k, v in case.maps.items()}
        drawn = {k: v for case in cases for k, v in case.progression.items()}
        first = cases[0]
        out.append(MapCase(name, first.patient, first.initial, first.truth, first.brain,
                           first.spacing_mm, maps, first.scan, first.follow_up, drawn))  # fmt: skip
    return out, len({name for job in by_name for name in job}) - len(shared)

"""Simulation of one phantom patient: tumour growth, mass effect and labels, without images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from mechlearn.phantom.anatomy import Anatomy, Tissues
from mechlearn.phantom.fields import Grid
from mechlearn.phantom.paint import Look, TumourMaps
from mechlearn.phantom.phantom_spec import SERIES, Course, PatientKey, PhantomSpec, TumourParameters
from mechlearn.phantom.tumour import Tumour, labels
from mechlearn.processes import worker_pool

__all__ = ["LabelledVisit", "Patient", "each_patient", "simulate"]

T = TypeVar("T")

_FATAL_CM3 = {"GLI": 220.0, "DMG": 80.0}  # a larger tumour ends the series
_PURPOSE = {"anatomy": 0, "look": 1, "tumour": 2, "course": 3, "growth": 4}


@dataclass(frozen=True)
class LabelledVisit:
    """One visit on the patient's grid: inputs of its images, and its labels."""

    session: str
    number: int
    day: int
    tissues: Tissues
    maps: TumourMaps
    displacement: torch.Tensor  # mm, (3, X, Y, Z)
    labels: np.ndarray  # (X, Y, Z) uint8: 1 core without enhancement, 2 oedema, 3 enhancing
    density: np.ndarray  # cell density on the growth grid, float16


@dataclass(frozen=True)
class Patient:
    """A simulated patient; `visits` is an iterator that computes one visit after another."""

    truth: dict[str, Any]
    grid: Grid
    look: Look
    visits: Iterator[LabelledVisit]

    def paint(self, visit: LabelledVisit) -> np.ndarray:
        """Four contrasts of a visit, (4, X, Y, Z) int16."""
        return self.look.paint(visit.tissues, visit.maps, self.grid, visit=visit.number,
                               displacement=visit.displacement)


def simulate(spec: PhantomSpec, key: PatientKey) -> Patient:
    """Simulate a patient; the series ends early if the tumour is too large to survive."""
    rng = {name: key.rng(spec.seed, number) for name, number in _PURPOSE.items()}
    anatomy = Anatomy(rng["anatomy"], child=key.kind == "DMG")
    parameters = TumourParameters.draw(key.kind, rng["tumour"])
    count = fewest = spec.train_visits
    if key.split in ("test", SERIES):
        fewest = spec.test_visits[0]
        count = int(rng["course"].integers(spec.test_visits[0], spec.test_visits[1] + 1))
    course = Course.draw(key.kind, count, rng["course"])
    tumour = Tumour(anatomy, key.kind, parameters, rng["growth"])
    states = tumour.states(course)
    grid = Grid(spec.voxel_mm).crop(*anatomy.extent_mm())

    def visits() -> Iterator[LabelledVisit]:
        for number, state in enumerate(states):
            moved = tumour.displacement(state, grid)
            tissues = anatomy.tissues(grid, displacement=moved)
            maps = tumour.compartments(state, tissues, grid, moved)
            mask = labels(maps, tissues.brain)
            volume_cm3 = float((mask > 0).sum()) * spec.voxel_mm**3 / 1000
            if number >= fewest and volume_cm3 > _FATAL_CM3[key.kind]:
                return
            density = state.density.numpy().astype(np.float16)
            yield LabelledVisit(f"{key.name}-{number:03d}", number, state.day, tissues, maps,
                                moved, mask, density)

    spacing = tumour.grid.voxel_mm
    truth = {"patient": key.name, "split": key.split, "phantom": True,
             "parameters": asdict(parameters), "course": asdict(course),
             "seeds_mm": [[(i + 0.5) * spacing for i in seed] for seed in tumour.seeds]}
    return Patient(truth, grid, Look(rng["look"]), visits())


def each_patient(
    task: Callable[[PatientKey], T], keys: Iterable[PatientKey], *, workers: int = 1
) -> Iterator[tuple[PatientKey, T]]:
    """(key, task(key)) in order of completion; several workers are processes with one torch thread.

    `task` must be picklable. With one worker, or one patient, it runs in this process.
    """
    keys = list(keys)
    if workers == 1 or len(keys) < 2:
        for key in keys:
            yield key, task(key)
        return
    # A fork after torch has started threads can hang.
    with worker_pool(workers, method="spawn", begin=_one_thread) as pool:
        jobs = {pool.submit(task, key): key for key in keys}
        for job in as_completed(jobs):
            yield jobs[job], job.result()


def _one_thread() -> None:
    torch.set_num_threads(1)

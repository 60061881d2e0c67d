"""Settings of an evaluation: the keys of `task.` on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mechlearn.checks import in_range, positive
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.growth.growth_spec import ENSEMBLE_MODELS

__all__ = ["TaskSpec"]


@dataclass
class TaskSpec:
    """An evaluation and its selection of cases. Not frozen, because it is also the Hydra schema.

    Attributes:
        name: of the output folder and of the row's `job`.
        evaluation: module that declares `EVALUATION`, such as `mechlearn.evaluation.longitudinal`
            or one of your own on Python's path.
        split: train, val or test patients; `series` and `all` for series of sizes.
        patients: number of patients, the first of the split; None for all.
        slices: largest number of slices (pairs of visits in the grid), spread over the patients.
        count: slices of a patient, equally spaced over its tumour (section 3.2: 5).
        min_growth: slices that grow by a smaller share are left out; None keeps all.
        min_area_mm2: slices whose first tumour area is not larger are left out.
        min_change: of the grid: pairs whose size changes by a smaller share are left out.
        maps: settings of the growth maps.
        multiples: requested sizes over the initial size.
        examples: of the grid: number of generations whose images are kept.
        series: CSV of tumour sizes, in place of the slices of `data`.
        companion: CSV of another compartment's sizes of the same patients.
        patients_table: CSV of covariates and treatments, one row a patient.
        holdouts: with growth=learned: number of last visits that are held out, one at a time.
        folds: folds over patients, of a cross-fit.
        laws: growth models of a population prior.
        floor: size added before a logarithm, in the unit of the series; None: from the cohort.
        options: keys of one evaluation only, with their defaults in its recipe.
    """

    name: str = "evaluation"
    evaluation: str = ""
    split: str = "test"
    patients: int | None = None
    slices: int | None = None
    count: int = 5
    min_growth: float | None = 0.10
    min_area_mm2: float = 0.0
    min_change: float = 0.0
    maps: MapSpec = field(default_factory=MapSpec)
    multiples: list[float] = field(default_factory=list)
    examples: int = 4
    series: str | None = None
    companion: str | None = None
    patients_table: str | None = None
    holdouts: int = 1
    folds: int = 5
    laws: list[str] = field(default_factory=lambda: list(ENSEMBLE_MODELS))
    floor: float | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from mechlearn.growth.models import get_growth_model  # imports scipy, slow

        in_range("task.folds", self.folds, 2, 1000)
        if self.floor is not None:
            positive("task.floor", self.floor)
        if not self.laws:
            raise ValueError(
                "task.laws=[]: at least one growth model is needed, such as task.laws=[ode]."
            )
        for law in self.laws:
            get_growth_model(law, key="task.laws")
        for key in ("min_area_mm2", "min_change"):
            in_range(f"task.{key}", getattr(self, key), 0.0, 1e9)
        for multiple in self.multiples:
            positive("task.multiples", multiple)
        for key in ("patients", "slices", "count"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"task.{key}={value}: must be 1 or more, or null for all.")

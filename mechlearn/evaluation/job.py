"""One evaluation job: task, models, data and output folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechlearn.evaluation.finished import code_digest, fingerprint
from mechlearn.evaluation.rows import Row
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.records import SizeSeries

if TYPE_CHECKING:
    from mechlearn.data.store import SliceStore
    from mechlearn.evaluation.model_pair import ModelBundle, Sampler

__all__ = ["CohortSeries", "Job", "visit_marks"]

NO_EFFECT = ("batch_size",)  # keys of the sampler that do not change a row
# Keys of a task that choose cases: the fingerprint of a case holds the content of the case instead.
SELECTION = ("split", "patients", "slices", "count", "min_growth", "min_area_mm2", "min_change",
             "series", "companion", "patients_table")  # fmt: skip


@dataclass(frozen=True)
class CohortSeries:
    """Series of sizes of one cohort; `about` is their provenance, for the row."""

    timelines: tuple[SizeSeries, ...]
    unit: str = "mm2"
    name: str = ""
    about: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Inputs of an evaluation.

    Attributes:
        task: the keys of `task.`.
        out_dir: receives row, table, figures and finished cases.
        growth: settings of the size forecast.
        seed: of sampling, folds and resampling.
        models: None for an evaluation of sizes alone.
        drawer: the sampler; None takes that of `models`.
        device: for evaluations that build samplers themselves.
        store, patients: slices of the chosen patients.
        series: for an evaluation of sizes.
        about: provenance of the data, for the row.
        command: as typed, for the provenance in written files.
        data: content for the fingerprint, where there is no `store`.
    """

    task: TaskSpec
    out_dir: Path
    growth: GrowthSpec = field(default_factory=GrowthSpec)
    seed: int = 0
    models: ModelBundle | None = None
    drawer: Sampler | None = None
    device: str = "cpu"
    store: SliceStore | None = None
    patients: tuple[str, ...] = ()
    series: CohortSeries | None = None
    about: Row = field(default_factory=dict)
    command: str = ""
    data: Any = None

    @property
    def sampler(self) -> Sampler:
        """The sampler; ValueError for a job of sizes alone."""
        found = self.drawer if self.models is None else self.models.sampler
        if found is None:
            raise ValueError(f"task.name={self.task.name}: this job has no models.")
        return found

    @property
    def slices(self) -> SliceStore:
        """The slice store; ValueError for a job of sizes alone."""
        if self.store is None:
            raise ValueError(f"task.name={self.task.name}: this job has no slices.")
        return self.store

    @property
    def cohort(self) -> CohortSeries:
        """The series of sizes; ValueError for a job of slices."""
        if self.series is None:
            raise ValueError(f"task.name={self.task.name}: this job has no series of sizes.")
        return self.series

    @property
    def identity(self) -> Row:
        """Keys of the row that identify data, models and sampler."""
        if self.models is not None:
            return {**self.models.row, **self.about}
        if self.drawer is None:
            return self.about
        from mechlearn.evaluation.model_pair import sampler_row  # imports torch

        return {**sampler_row(self.drawer), **self.about}

    def option(self, name: str) -> Any:
        """Value of `task.options.<name>`, a key of this evaluation only; KeyError if missing."""
        return self.task.options[name]

    def _settings(self, task: dict[str, Any]) -> dict[str, Any]:
        """Settings that a row depends on; a path is replaced by the digest of its file."""
        parts: dict[str, Any] = {"task": [task, _plain(self.growth), self.seed]}
        if self.models is not None or self.drawer is not None:
            sampler = _plain(self.sampler.spec)
            parts["sampler"] = {k: v for k, v in sampler.items() if k not in NO_EFFECT}
        if self.models is not None:
            pair = self.models.denoiser, self.models.guide
            parts["weights"] = [*(m.digest for m in pair), self.models.guide.kind]
        return {**parts, "code": code_digest()}

    @property
    def mark(self) -> str:
        """The fingerprint of the row: one short digest for every part."""
        data = self.data if self.store is None else visit_marks(self.store, self.patients)
        return fingerprint({**self._settings(_plain(self.task)), "data": data})

    @property
    def case_mark(self) -> str:
        """The fingerprint of all settings that a case depends on; its data are not part of it."""
        task = {k: v for k, v in _plain(self.task).items() if k not in SELECTION}
        return fingerprint(self._settings(task))


def _plain(spec: Any) -> dict[str, Any]:
    plain = _by_content(asdict(spec))
    assert isinstance(plain, dict)
    return plain


def _by_content(value: Any) -> Any:
    """The same builtins, with every path of a file replaced by the digest of its content."""
    if isinstance(value, Mapping):
        return {str(k): _by_content(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_content(v) for v in value]
    if isinstance(value, str) and value and (path := Path(value).expanduser()).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return value


def visit_marks(store: SliceStore, patients: tuple[str, ...]) -> list[str]:
    """Lines that identify the stored data of these patients: one a visit."""
    lines = [repr(store.card())]
    for patient in patients:
        split = store.splits.get(patient)
        for v in store.visits(patient):
            scale = [v.intensity.contrasts, v.intensity.low, v.intensity.high]
            lines.append(repr([patient, split, v.session, v.day, v.zs, v.brain_px, v.tumour_px,
                               scale]))  # fmt: skip
    return lines

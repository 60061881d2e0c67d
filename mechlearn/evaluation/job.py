"""One evaluation job: what is asked, of which models, on which data, into which folder."""

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

NO_EFFECT = ("batch_size",)  # of the sampler, on a row
# Keys of a task that choose cases: what is chosen counts by its content.
SELECTION = ("split", "patients", "slices", "count", "min_growth", "min_area_mm2", "min_change",
             "series", "companion", "patients_table")  # fmt: skip


@dataclass(frozen=True)
class CohortSeries:
    """Series of sizes of one cohort; `about` says where they come from, for the row."""

    timelines: tuple[SizeSeries, ...]
    unit: str = "mm2"
    name: str = ""
    about: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What an evaluation works on.

    Attributes:
        task: the keys of `task.`.
        out_dir: receives row, table, figures and finished cases.
        growth: how sizes are forecast.
        seed: of sampling, folds and resampling.
        models: None for an evaluation of sizes alone.
        drawer: the sampler; None takes that of `models`.
        device: for evaluations that build samplers of their own.
        store, patients: slices of the chosen patients.
        series: of an evaluation of sizes.
        about: where the data come from, for the row.
        command: as typed, for files that say where they come from.
        data: what the row depends on, where there is no `store`.
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
        """What stands in the row: where the data come from, which models, which sampler."""
        if self.models is not None:
            return {**self.models.row, **self.about}
        if self.drawer is None:
            return self.about
        from mechlearn.evaluation.model_pair import sampler_row  # torch: not for sizes alone

        return {**sampler_row(self.drawer), **self.about}

    def option(self, name: str) -> Any:
        """A key of this evaluation alone, `task.options.<name>`; KeyError where it is not set."""
        return self.task.options[name]

    def _settings(self, task: dict[str, Any]) -> dict[str, Any]:
        """All but the data that a row depends on; files that a key names count by content."""
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
        """The fingerprint of the row: one short digest a part."""
        data = self.data if self.store is None else visit_marks(self.store, self.patients)
        return fingerprint({**self._settings(_plain(self.task)), "data": data})

    @property
    def case_mark(self) -> str:
        """The fingerprint of what every case depends on beside its own data."""
        task = {k: v for k, v in _plain(self.task).items() if k not in SELECTION}
        return fingerprint(self._settings(task))


def _plain(spec: Any) -> dict[str, Any]:
    plain = _by_content(asdict(spec))
    assert isinstance(plain, dict)
    return plain


def _by_content(value: Any) -> Any:
    """The same builtins, with the digest of its content for every path of a file."""
    if isinstance(value, Mapping):
        return {str(k): _by_content(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_by_content(v) for v in value]
    if isinstance(value, str) and value and (path := Path(value).expanduser()).is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return value


def visit_marks(store: SliceStore, patients: tuple[str, ...]) -> list[str]:
    """What is read of these patients, whatever else the store holds: a line a visit."""
    lines = [repr(store.card())]
    for patient in patients:
        split = store.splits.get(patient)
        for v in store.visits(patient):
            scale = [v.intensity.contrasts, v.intensity.low, v.intensity.high]
            lines.append(repr([patient, split, v.session, v.day, v.zs, v.brain_px, v.tumour_px,
                               scale]))  # fmt: skip
    return lines

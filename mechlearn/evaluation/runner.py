"""The runner of all evaluations: it scores, stores, resumes, counts and summarises cases.

An evaluation is one file that declares `EVALUATION = Evaluation(cases=..., score=...)`; see
`docs/adding-an-evaluation.md`. `size_response.py` is a short example.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mechlearn.checks import imported
from mechlearn.evaluation.finished import content_digest
from mechlearn.evaluation.job import Job
from mechlearn.evaluation.rows import Row, plain_row, read_row, write_table
from mechlearn.evaluation.summary import clustered_means
from mechlearn.files import write_arrays, write_text
from mechlearn.progress import tracked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Done", "Evaluation", "Scored", "load_evaluation", "run"]

log = logging.getLogger(__name__)
CASES = "cases"  # folder of finished cases
SLICES, SIZES = "slices", "sizes"


@dataclass(frozen=True)
class Scored:
    """The result of one case.

    Attributes:
        rows: one or more flat rows; the runner adds `slice_id` and `patient` of the case where they
            are missing. A row with a `skipped` reason is counted and left out of the summary.
        arrays: stored with the rows, for the summary and for figures.
        extra: added to the job's row.
    """

    rows: Sequence[Row] = ()
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    extra: Row = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """All cases that a job has scored.

    Attributes:
        rows: of the cases that could be scored. skipped: of the others, with the reason.
        seconds: time of all cases, in this run and in earlier ones.
        paths: files with the arrays of the cases, in their order.
    """

    rows: list[Row]
    skipped: list[Row]
    seconds: float
    paths: list[Path]

    def arrays(self) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of every case, one case after the other."""
        for path in self.paths:
            with np.load(path) as held:
                yield dict(held)


def _means(job: Job, done: Done) -> Row:
    return clustered_means(done.rows, seed=job.seed)


def _no_figures(job: Job, done: Done) -> Mapping[str, Figure]:
    return {}


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: functions that choose cases, score one, summarise all, and draw figures.

    Attributes:
        cases: (job) -> cases. A case has `slice_id` (or `name`) and `patient`.
        score: (job, case) -> a row, several rows, or `Scored`. A ValueError leaves the case out,
            with its message as the reason.
        summarise: (job, done) -> keys of the job's row in addition to the counts. By default the
            mean of every number with an interval that resamples patients.
        figures: (job, done) -> {file name: figure}. The function imports `report` itself.
        reads: `slices`: models and the slices of `data`; `sizes`: series of sizes, no models.
        table: file of all rows; empty for none. first: its first columns.
        resumes: finished cases are stored and not scored again. False where all cases are one
            computation.
        left_out: exceptions of `score` that leave a case out.
        text: file of the output folder that the terminal shows in place of the row.
    """

    cases: Callable[[Job], Sequence[Any]]
    score: Callable[[Job, Any], Row | Sequence[Row] | Scored]
    summarise: Callable[[Job, Done], Row] = _means
    figures: Callable[[Job, Done], Mapping[str, Figure]] = _no_figures
    reads: str = SLICES
    table: str = "cases.csv"
    first: Sequence[str] = ("slice_id", "patient")
    resumes: bool = True
    left_out: tuple[type[Exception], ...] = (ValueError,)
    text: str = ""


def load_evaluation(module: str) -> Evaluation:
    """The `EVALUATION` that a module declares.

    Raises:
        ValueError: no such module, or a module without `EVALUATION`.
    """
    remedy = ("Give task=sizes, or the module of an evaluation of your own "
              "(docs/adding-an-evaluation.md).")  # fmt: skip
    found = imported("task.evaluation", module, name="EVALUATION", remedy=remedy)
    if not isinstance(found, Evaluation):
        raise ValueError(f"task.evaluation={module}: its EVALUATION is another thing. {remedy}")
    return found


def run(
    evaluation: Evaluation, job: Job, cases: Sequence[Any] | None = None, *, rerun: bool = False
) -> Row:
    """Score all cases and return the job's row.

    Writes the table and the figures to `job.out_dir`, and every finished case to its folder
    `cases`, so that a stopped run can be resumed. A case is scored again when the settings, the
    code or its data have changed.

    Args:
        evaluation: the evaluation.
        job: its inputs.
        cases: replace those that `evaluation.cases` chooses.
        rerun: score finished cases again.

    Raises:
        ValueError: there is no case, two cases have one name, or no case could be scored.
    """
    name = job.task.name
    given = evaluation.cases(job) if cases is None else cases
    _check_cases(name, given)
    mark = job.case_mark if evaluation.resumes else ""
    found = [_scored(evaluation, job, case, mark, rerun) for case in tracked(given, name, log=log)]
    rows = [row for one in found for row in one.rows]
    if evaluation.table:
        write_table(job.out_dir / evaluation.table, rows, first=evaluation.first)
    if all(one.failed for one in found):
        raise ValueError(
            f"task={name}: none of {len(given)} cases could be scored. The first, "
            f"{rows[0]['slice_id']}: {rows[0]['skipped']}"
        )
    kept = [row for row in rows if row["skipped"] is None]
    done = Done(kept, [row for row in rows if row["skipped"] is not None],
                sum(one.seconds for one in found), [one.path for one in found if one.path])
    row: Row = {
        "job": name, "n_cases": len(given), "n_rows": len(kept), "n_skipped": len(done.skipped),
        "n_patients": len({r["patient"] for r in kept}), "seed": job.seed,
        "seconds": done.seconds,
        **{key: value for one in found for key, value in one.extra.items()},
        **evaluation.summarise(job, done), **job.identity,
    }  # fmt: skip
    for file, figure in evaluation.figures(job, done).items():
        from mechlearn.report.style import save  # imports matplotlib

        log.info("figure: %s", save(figure, job.out_dir / file))
    return row


def name_of(case: Any) -> str:
    """`slice_id` of a slice or `name` of a series."""
    return str(getattr(case, "slice_id", None) or case.name)


def _stem(case: Any) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name_of(case))


def _check_cases(name: str, cases: Sequence[Any]) -> None:
    if not cases:
        raise ValueError(
            f"task={name}: no case to score. Check task.split, task.patients, task.min_growth, "
            "task.min_area_mm2 and, for sizes, task.series."
        )
    seen: set[str] = set()
    for case in cases:
        if (stem := _stem(case)) in seen:
            raise ValueError(f"task={name}: two cases are called {name_of(case)}. Rename one.")
        seen.add(stem)


@dataclass(frozen=True)
class _Kept:
    """A finished case, as stored in its file."""

    rows: list[Row]
    extra: Row
    seconds: float
    failed: bool = False
    path: Path | None = None


def _scored(evaluation: Evaluation, job: Job, case: Any, mark: str, rerun: bool) -> _Kept:
    """The case from its file if it is finished; otherwise scored and stored."""
    file = job.out_dir / CASES / f"{_stem(case)}.json"
    arrays = file.with_suffix(".npz")
    if evaluation.resumes:
        mark += f" case={content_digest(case)}"
        if not rerun and file.is_file() and (held := read_row(file))["mark"] == mark:
            return _Kept(held["rows"], held["extra"], held["seconds"], held["failed"],
                         arrays if held["arrays"] else None)  # fmt: skip
    start = time.monotonic()
    made, failed = _score(evaluation, job, case)
    named: Row = {"slice_id": name_of(case), "patient": case.patient}
    rows = [plain_row({**named, "skipped": None, **row}) for row in made.rows]
    out = _Kept(rows, plain_row(made.extra), time.monotonic() - start, failed,
                arrays if made.arrays else None)  # fmt: skip
    if made.arrays:
        write_arrays(arrays, made.arrays)
    if evaluation.resumes:
        card = {**dataclasses.asdict(out), "mark": mark, "arrays": bool(made.arrays)}
        del card["path"]
        write_text(file, json.dumps(card, allow_nan=False) + "\n")
    return out


def _score(evaluation: Evaluation, job: Job, case: Any) -> tuple[Scored, bool]:
    """(the result of a case, whether the case is left out)."""
    try:
        made = evaluation.score(job, case)
    except evaluation.left_out as error:
        log.warning("%s is left out: %s", name_of(case), error)
        return Scored([{"skipped": str(error)}]), True
    if isinstance(made, Scored):
        return made, False
    return Scored([made] if isinstance(made, dict) else made), False

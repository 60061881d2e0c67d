"""A whole cohort examined, parallel over patients: a bad visit ends nothing, all is reported."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.store_spec import PrepareSpec, SplitSpec
from mechlearn.data.validation.cohort_rules import cohort_findings
from mechlearn.data.validation.dates import date_findings
from mechlearn.data.validation.findings import Check, Finding, Report
from mechlearn.data.validation.geometry import reference_outline
from mechlearn.data.validation.leakage import split_findings, store_findings
from mechlearn.data.validation.patient_rules import Examined, examine_patient
from mechlearn.processes import worker_pool
from mechlearn.progress import progress

__all__ = ["examine"]

log = logging.getLogger(__name__)
EMPTY = Check(
    "no visit", "error", "a cohort has at least one visit",
    "Check data.root or data.manifest, and mend what was found there.",
)  # fmt: skip


def examine(
    records: Sequence[VisitRecord],
    spec: PrepareSpec | None = None,
    *,
    workers: int = 1,
    found: Sequence[Finding] = (),
    given: Path | None = None,
    splits: SplitSpec | None = None,
    store: Path | None = None,
) -> Report:
    """Examine every visit; nothing is written.

    Where there is no error `prepare` takes the cohort with the same arguments.

    Args:
        records: visits, from a manifest or an adapter.
        spec: what `prepare` would be given; None for the paper's.
        workers: processes; patients are spread over them.
        found: findings there are already (rows that are no visit).
        given: splits.json beside the manifest, whether or not it exists.
        splits: how splits would be drawn without it.
        store: folder of the store that would be made or extended.

    Raises:
        RuntimeError: a worker process was killed.
    """
    spec, records = spec or PrepareSpec(), list(records)
    findings = list(found)
    if not records:
        return Report.of([*findings, EMPTY.of("", "nothing to examine")], records)
    findings += date_findings(records)
    findings += split_findings(records, given=given, spec=splits, store=store)
    if store is not None:
        findings += store_findings(store, spec)
    visits = [v for patient in _examined(records, spec, workers) for v in patient]
    findings += [f for visit in visits for f in visit.findings]
    findings += cohort_findings(visits)
    return Report.of(findings, records)


def _by_patient(records: Sequence[VisitRecord]) -> list[list[VisitRecord]]:
    groups: dict[str, list[VisitRecord]] = {}
    for record in sorted(records, key=lambda r: (r.day if r.day is not None else 0.0, r.session)):
        groups.setdefault(record.patient, []).append(record)
    return [groups[p] for p in sorted(groups)]


def _examined(
    records: Sequence[VisitRecord], spec: PrepareSpec, workers: int
) -> Iterator[list[Examined]]:
    groups = _by_patient(records)
    reference_outline()  # before the fork: read once for all processes
    with progress("examining visits", len(records), logger=log) as advance:
        if workers <= 1:
            for group in groups:
                yield examine_patient(group, spec)
                advance(len(group), note=group[0].patient)
            return
        with worker_pool(min(workers, len(groups))) as pool:
            tasks: dict[Future[list[Examined]], list[VisitRecord]] = {
                pool.submit(examine_patient, g, spec): g for g in groups
            }
            try:
                for task in as_completed(tasks):
                    group = tasks[task]
                    yield task.result()
                    advance(len(group), note=group[0].patient)
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"check: one of {workers} worker processes was killed, most likely for want "
                    "of memory (about 1 GB each). Lower data.workers."
                ) from error
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

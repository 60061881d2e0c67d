"""What `mode=check` says of the visits of one patient, for a forecast of this patient."""

from __future__ import annotations

from collections.abc import Sequence

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.store_spec import PrepareSpec
from mechlearn.data.validation.dates import date_findings
from mechlearn.data.validation.patient_rules import NOT_REGISTERED, UNFIT, examine_patient

__all__ = ["warnings_of"]

GRID_CHECKS = (UNFIT.name, NOT_REGISTERED.name)  # of slices on a model's grid, not of volumes


def warnings_of(
    records: Sequence[VisitRecord], spec: PrepareSpec, *, grid: bool = False
) -> list[str]:
    """Warnings about the files, dates and treatments of a patient's visits, in sentences.

    Args:
        records: visits of one patient.
        spec: contrasts that are looked at, and the grid.
        grid: also hold the rules of slices on a model's grid.

    Raises:
        ValueError: what the check calls an error; it names the file or the visit.
    """
    found = list(date_findings(records))
    for visit in examine_patient(records, spec):
        found += visit.findings
    refused = [f for f in found if f.severity == "error" and (grid or f.check not in GRID_CHECKS)]
    if refused:
        first = refused[0]
        more = f" ({len(refused) - 1} more findings)" if len(refused) > 1 else ""
        where = first.file or f"{first.patient}/{first.session}"
        raise ValueError(f"{where}: {first.found}; {first.rule}. {first.remedy}{more}")
    return list(dict.fromkeys(
        f"{f.session or f.patient}: {f.found} (rule: {f.rule}). {f.remedy}"
        for f in found if f.severity == "warning"
    ))  # fmt: skip

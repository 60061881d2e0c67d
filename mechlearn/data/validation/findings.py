"""What the doctor finds: a check broken by a file, a visit, a patient or the cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.tables import write_rows
from mechlearn.files import write_json

__all__ = ["SEVERITIES", "Check", "Finding", "Report"]

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One line of the report. `patient`, `session` and `file` are empty where it is about more."""

    severity: str
    check: str
    patient: str
    session: str
    file: str
    found: str
    rule: str
    remedy: str


@dataclass(frozen=True)
class Check:
    """A rule of the doctor and what to do where it is broken.

    An error makes the data unfit (all that `prepare` refuses, and what would make results wrong);
    a warning wants a look; a note is only reported.
    """

    name: str
    severity: str
    rule: str
    remedy: str

    def at(self, record: VisitRecord, found: str, *, file: Path | str = "") -> Finding:
        """This check broken by a visit, or by one of its files."""
        return self._finding(record.patient, record.session, str(file), found)

    def of(self, patient: str, found: str, *, file: Path | str = "") -> Finding:
        """This check broken by a patient ('' for the cohort)."""
        return self._finding(patient, "", str(file), found)

    def _finding(self, patient: str, session: str, file: str, found: str) -> Finding:
        return Finding(
            self.severity, self.name, patient, session, file, found, self.rule, self.remedy
        )


@dataclass(frozen=True)
class Report:
    """All findings of a cohort, errors first."""

    findings: tuple[Finding, ...]
    patients: int
    visits: int

    @classmethod
    def of(cls, findings: Iterable[Finding], records: Sequence[VisitRecord]) -> Report:
        """Sorted by severity, check, patient and session; equal findings once."""
        ordered = sorted(
            dict.fromkeys(findings),
            key=lambda f: (SEVERITIES.index(f.severity), f.check, f.patient, f.session, f.file),
        )
        return cls(tuple(ordered), len({r.patient for r in records}), len(records))

    def count(self, severity: str) -> int:
        return sum(f.severity == severity for f in self.findings)

    @property
    def passed(self) -> bool:
        """Whether there is no error."""
        return self.count("error") == 0

    def bad_visits(self) -> list[str]:
        """PATIENT/SESSION of visits with an error, sorted."""
        return sorted(
            {f"{f.patient}/{f.session}" for f in self.findings
             if f.severity == "error" and f.patient and f.session}
        )  # fmt: skip

    def summary(self) -> str:
        """One line: what was examined and what was found."""
        counts = ", ".join(_counted(self.count(s), s) for s in SEVERITIES if self.count(s))
        bad = self.bad_visits()
        where = f" (errors in {_counted(len(bad), 'visit')})" if bad else ""
        return (
            f"{_counted(self.visits, 'visit')} of {_counted(self.patients, 'patient')}: "
            f"{counts or 'nothing found'}{where}"
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write check.csv (a line a finding) and check.json (the same with counts)."""
        columns = list(Finding.__dataclass_fields__)
        rows = [asdict(f) for f in self.findings]
        table = write_rows(folder / "check.csv", columns, rows)
        card = {
            "patients": self.patients,
            "visits": self.visits,
            "counts": {s: self.count(s) for s in SEVERITIES},
            "bad_visits": self.bad_visits(),
            "findings": rows,
        }
        write_json(folder / "check.json", card)
        return table, folder / "check.json"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

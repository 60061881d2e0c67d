"""The report: its table for a person, its files for a program."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from mechlearn.data.manifest import VisitRecord
from mechlearn.data.validation.findings import Check, Report
from mechlearn.data.validation.table import print_report

BROKEN = Check("broken thing", "error", "things are whole", "Mend the thing.")
ODD = Check("odd thing", "warning", "things are even", "Look at the thing.")


def record(patient: str) -> VisitRecord:
    return VisitRecord(patient, "s0", {"t1n": Path("a")}, Path("b"), "brats2023")


@pytest.fixture
def report() -> Report:
    findings = [BROKEN.at(record(f"P{i:02d}"), "gone", file=f"P{i:02d}_t1.nii.gz")
                for i in range(42)]  # fmt: skip
    return Report.of([ODD.of("", "three of them"), *findings], [record("P00"), record("P01")])


def printed(report: Report, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_report(report, console, csv=Path("out/check.csv"))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_errors_stand_before_warnings(report):
    text = printed(report)
    assert text.index("ERROR  broken thing  (42)") < text.index("WARNING  odd thing")


def test_many_equal_findings_are_cut_with_the_place_of_all(report):
    text = printed(report)
    assert text.count("gone") == 5
    assert "and 37 more" in text
    assert "see check.csv" in text


def test_each_group_has_its_rule_and_what_to_do(report):
    text = printed(report)
    assert "things are whole" in text
    assert "Mend the thing." in text


def test_file_is_shown_without_the_patients_name(report):
    assert "…_t1.nii.gz  gone" in printed(report)


def test_table_keeps_to_the_terminal(report):
    assert max(map(len, printed(report, 60).splitlines())) <= 60


def test_summary_counts(report):
    assert report.summary() == (
        "2 visits of 2 patients: 42 errors, 1 warning (errors in 42 visits)"
    )


def test_warnings_alone_pass():
    assert Report.of([ODD.of("", "three")], [record("P00")]).passed


def test_nothing_found_is_said():
    assert "nothing found" in printed(Report.of([], [record("P00")]))


def test_equal_findings_stand_once():
    assert len(Report.of([ODD.of("", "x"), ODD.of("", "x")], []).findings) == 1


def test_files_hold_every_finding(report, tmp_path):
    table, card = report.write(tmp_path)
    with table.open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 43
    assert rows[0] == {
        "severity": "error", "check": "broken thing", "patient": "P00", "session": "s0",
        "file": "P00_t1.nii.gz", "found": "gone", "rule": "things are whole",
        "remedy": "Mend the thing.",
    }  # fmt: skip
    plain = json.loads(card.read_text())
    assert plain["counts"] == {"error": 42, "warning": 1, "note": 0}
    assert plain["findings"] == rows
    assert plain["bad_visits"][0] == "P00/s0"

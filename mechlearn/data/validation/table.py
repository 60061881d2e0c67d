"""The report as a person reads it on a terminal: grouped by check, worst first, few lines each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mechlearn.data.validation.findings import Finding, Report

__all__ = ["print_report"]

SHOWN = 5
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_report(report: Report, console: Console, *, csv: Path | None = None) -> None:
    """Print all groups of findings, then one line of summary.

    Args:
        csv: where all findings stand, for groups of which only the first are shown.
    """
    for block in _blocks(report.findings, csv):
        console.print(block)
    style = "green" if report.passed else STYLES["error"]
    console.print(Text(report.summary(), style=style))


def _blocks(findings: Sequence[Finding], csv: Path | None) -> Iterator[RenderableType]:
    for _, group in groupby(findings, key=lambda f: (f.severity, f.check)):
        yield _block(list(group), csv)


def _block(group: Sequence[Finding], csv: Path | None) -> RenderableType:
    first, n = group[0], len(group)
    title = Text.assemble(
        (first.severity.upper(), STYLES[first.severity]), "  ", (first.check, "bold"),
        f"  ({n:,})" if n > 1 else "",
    )  # fmt: skip
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=40)
    table.add_column(overflow="fold")
    for finding in group[:SHOWN]:
        table.add_row(Text(_where(finding)), Text(_found(finding)))
    if n > SHOWN:
        table.add_row(Text(f"and {n - SHOWN:,} more", style="dim"),
                      Text("" if csv is None else f"see {csv.name}", style="dim"))  # fmt: skip
    words = Table.grid(padding=(0, 2, 0, 0))
    words.add_row(Text("rule", style="dim"), Text(first.rule))
    words.add_row(Text("to do", style="dim"), Text(first.remedy))
    return Group(title, Padding(table, (0, 0, 0, 2)), Padding(words, (0, 0, 1, 2)))


def _where(finding: Finding) -> str:
    name = "/".join(part for part in (finding.patient, finding.session) if part)
    return name or "cohort"


def _found(finding: Finding) -> str:
    """What was found after the file's name, without the patient's at its beginning."""
    name = Path(finding.file).name
    if finding.patient and name.startswith(finding.patient):
        name = "…" + name[len(finding.patient) :]
    return f"{name}  {finding.found}" if name else finding.found

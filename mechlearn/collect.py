"""Collect a sweep's rows: python -m mechlearn.collect multirun/grid_search/2026-01-31_12-00-00."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mechlearn.evaluation.sweep_table import CollectResult


def show(result: CollectResult, folder: str) -> None:
    """Print the number of rows and every cell without a row."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from mechlearn.evaluation.sweep_figures import draw_collected

    console = Console()
    pictures, words = draw_collected(result, folder)
    for line in [*(f"figure: {picture}" for picture in pictures), *words]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if result.table is not None:
        console.print(f"{result.n_rows} rows: {result.table}", highlight=False, soft_wrap=True,
                      markup=False)  # fmt: skip
    else:
        console.print("no row found", highlight=False)
    unfinished = [("failed", c) for c in result.failed] + [("missing", c) for c in result.missing]
    if unfinished:
        table = Table("", "cell", "overrides", "why")
        for word, cell in unfinished:
            table.add_row(word, *map(Text, (cell.name, cell.overrides, cell.reason)))
        console.print(table, highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 complete, 1 a cell failed or is missing, 2 no such folder."""
    parser = argparse.ArgumentParser(prog="python -m mechlearn.collect", description=__doc__)
    parser.add_argument("folder", help="output folder of a sweep, of one job, or of several")
    parser.add_argument("--table", help="the CSV to write; FOLDER/table.csv by default")
    args = parser.parse_args(argv)
    from mechlearn.config.errors import reported
    from mechlearn.evaluation.sweep_table import collect

    with reported("collect", status=2):
        result = collect(args.folder, table=args.table)
        show(result, args.folder)
    return 0 if result.complete else 1


if __name__ == "__main__":
    sys.exit(main())

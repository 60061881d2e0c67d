"""`prepare align=FOLDER`: co-register the visits of a table, and print the result."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from mechlearn.data.align import align_table

__all__ = ["align"]


def align(cfg: DictConfig) -> None:
    """Co-register the visits of `data.manifest` into the folder `align`; no slices are prepared.

    Raises:
        FileNotFoundError, ValueError: as `data.align.align_table`; also data=OTHER.
    """
    if cfg.data.kind != "manifest" or cfg.data.manifest is None:
        raise ValueError(
            f"align={cfg.align} with data={cfg.data.kind}: aligns the visits of a table. Give "
            "data=manifest data.manifest=visits.csv."
        )
    made, moves = align_table(str(cfg.data.manifest), str(cfg.align))
    table = Table("patient", "session", "file", "moved (mm)", "turned (degrees)")
    for move in moves:
        table.add_row(move.patient, move.session, move.name, f"{move.shift_mm:.1f}",
                      f"{move.angle_degrees:.1f}")  # fmt: skip
    console = Console(highlight=False)
    console.print(table)
    console.print("Check every file over that of the first visit before a forecast: a failed "
                  "alignment gives no error.")  # fmt: skip
    for path in (made, Path(made).with_name("alignment.csv")):
        console.print(str(path), soft_wrap=True, markup=False)

"""`prepare segment=FOLDER` without a command: masks for visits that have none, and their sizes."""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from mechlearn.evaluation.visit_segmentation import segment_table

__all__ = ["segment"]


def segment(cfg: DictConfig) -> None:
    """Segment the visits of `data.manifest` into the folder `segment`; no store is made.

    Raises:
        FileNotFoundError, ValueError: as `segment_table`; also data=OTHER.
    """
    if cfg.data.kind != "manifest" or cfg.data.manifest is None:
        raise ValueError(
            f"segment={cfg.segment} with data={cfg.data.kind}: segments the visits of a table. "
            "Give data=manifest data.manifest=visits.csv."
        )
    made, visits = segment_table(str(cfg.data.manifest), str(cfg.segment))
    table = Table("patient", "session", "tumour (ml)", "enhancing (ml)", "remark")
    for visit in visits:
        table.add_row(visit.patient, visit.session, f"{visit.volume_ml:.1f}",
                      f"{visit.enhancing_ml:.1f}", visit.remark)  # fmt: skip
    console = Console(highlight=False)
    console.print(table)
    console.print("Look at each mask over its images before a forecast, and correct it: the "
                  "segmenter learnt from 25 patients.")  # fmt: skip
    console.print(str(made), soft_wrap=True, markup=False)

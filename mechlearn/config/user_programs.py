"""`prepare strip=FOLDER` and `segment=FOLDER`: a program of the user on every visit of a table."""

from __future__ import annotations

from omegaconf import DictConfig
from rich.console import Console

from mechlearn.config.specs import typed_words
from mechlearn.data.user_program import run_on_table

__all__ = ["run_user_program"]


def run_user_program(cfg: DictConfig) -> None:
    """Run `command` on the visits of `data.manifest`; nothing else is prepared.

    Raises:
        FileNotFoundError, ValueError: as `data.user_program.run_on_table`; also strip and segment
            at once, data=OTHER, no command, or one that was not typed: a recipe of somebody else
            runs no program.
    """
    if cfg.strip is not None and cfg.segment is not None:
        raise ValueError("strip and segment: one at a time. Strip first, then segment the table "
                         "that it writes.")  # fmt: skip
    key, makes = ("segment", "seg") if cfg.strip is None else ("strip", "brain_mask")
    folder = str(cfg[key])
    if cfg.data.kind != "manifest" or cfg.data.manifest is None:
        raise ValueError(
            f"{key}={folder} with data={cfg.data.kind}: works on the visits of a table. Give "
            "data=manifest data.manifest=visits.csv."
        )
    if not any(word.startswith("command=") for word in typed_words()) or not cfg.command:
        raise ValueError(
            f'{key}={folder}: type the command that is run, such as command="hd-bet -i INPUT -o '
            'OUTPUT"; docs/own-data.md has examples.'
        )
    table = run_on_table(
        str(cfg.data.manifest), folder, str(cfg.command), makes=makes,
        label_scheme=cfg.data.label_scheme if makes == "seg" else None,
    )  # fmt: skip
    console = Console(highlight=False)
    console.print("Look at each result over its scan before a forecast.")
    console.print(str(table), soft_wrap=True, markup=False)

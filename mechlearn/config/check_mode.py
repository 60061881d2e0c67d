"""`mode=check`: examine the visits of a data config, write the report and print it."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console

from mechlearn.config import stores
from mechlearn.config.names import in_multirun
from mechlearn.data.validation.examine import examine
from mechlearn.data.validation.findings import Check, Report
from mechlearn.data.validation.table import print_report
from mechlearn.files import read_json

__all__ = ["MODES", "bad_visits", "check", "examined"]

MODES = ("prepare", "check")
UNUSABLE = Check(
    "no usable visit", "error", "each row or folder of the source is a visit with its files",
    "Correct what the message names, or leave the visit out.",
)  # fmt: skip


def check(cfg: DictConfig) -> int:
    """Examine `cfg.data` and print the findings; returns the exit status, 1 with an error.

    Writes only check.csv and check.json, to the output folder of the run.

    Raises:
        ValueError: the source cannot be read; in a sweep, also if there is an error.
        FileNotFoundError: the source does not exist.
    """
    report = examined(cfg)
    table, _ = report.write(Path(HydraConfig.get().runtime.output_dir))
    console = Console(highlight=False)
    print_report(report, console, csv=table)
    console.print(f"all findings: {table}", soft_wrap=True, markup=False)
    if in_multirun() and not report.passed:  # the other jobs go on
        raise ValueError(f"{report.summary()}. See {table}.")
    return 0 if report.passed else 1


def bad_visits(cfg: DictConfig) -> list[str]:
    """PATIENT/SESSION of the visits with an error in the report `cfg.skip`; none without one.

    Raises:
        FileNotFoundError: no such report.
        ValueError: the file is not a report.
    """
    if cfg.skip is None:
        return []
    path = Path(str(cfg.skip)).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"skip={cfg.skip}: no such file. mode=check writes it and prints its folder at the end."
        )
    card = read_json(path)
    if not isinstance(card, dict) or "bad_visits" not in card:
        raise ValueError(f"skip={cfg.skip}: is not a report. Give the check.json of mode=check.")
    return [str(name) for name in card["bad_visits"]]


def examined(cfg: DictConfig) -> Report:
    """The report on `cfg.data`.

    Raises: as `check`.
    """
    stores.check_source(cfg)
    data, manifest = stores.data_config(cfg), None
    if data.kind == "manifest":
        manifest = Path(str(data.manifest)).expanduser().absolute()
    if data.kind == "phantom":
        manifest = Path(str(data.root)).expanduser().absolute() / "manifest.csv"
        if not manifest.is_file():
            raise FileNotFoundError(
                f"{manifest}: no cohort to examine yet. Generate it first: "
                "python -m mechlearn.prepare data=phantom"
            )
    unusable: list[str] = []
    records = stores.source_records(
        data, None if manifest is None else str(manifest), missing=unusable
    )
    return examine(
        records,
        data.prepare,
        workers=data.workers,
        found=[UNUSABLE.of("", message) for message in unusable],
        given=None if manifest is None else manifest.with_name("splits.json"),
        splits=data.splits,
        store=stores.store_root(cfg),
    )

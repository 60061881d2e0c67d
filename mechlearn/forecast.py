"""One patient to a day: python -m mechlearn.forecast patient=visits.csv day=120."""

from __future__ import annotations

import logging

import hydra
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from mechlearn.config import build, errors, forecasting, model_checks, recipes, schema
from mechlearn.evaluation.patient_forecast import ForecastResult
from mechlearn.report.fan import NOT_EVIDENCE
from mechlearn.report.page import number

log = logging.getLogger(__name__)
schema.register()


def show(result: ForecastResult) -> None:
    """The forecast on the screen: a column a slice."""
    rows = result.table()
    heads = [f"z {item.reference.z}" for item in result.slices]
    asked = result.row.get("what_if")
    words = None if asked is None else f"What if: {asked} ({NOT_EVIDENCE})."
    table = Table("", *heads, title=f"{result.patient}, day {result.day:g}", caption=words)
    for key in list(rows[0])[1:]:  # the first is the slice's name
        table.add_row(key, *(number(row.get(key)) for row in rows))
    Console().print(table)


@hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name="forecast")
@errors.clear_errors
def main(cfg: DictConfig) -> None:
    """NIfTI growth map and scans, PNG figures, one HTML page and row.json in the output folder."""
    bundle = model_checks.check_forecast(cfg)
    log.info("%s", bundle.name)
    store, result = forecasting.forecast_patient(cfg, bundle)
    written = forecasting.write_results(build.output_dir(), cfg, bundle, store, result)
    show(result)
    for path in written:
        Console().print(str(path), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()

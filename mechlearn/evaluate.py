"""Score the models: python -m mechlearn.evaluate -m +experiment=grid_search sampler.nl=100,200."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mechlearn.config.command_line import hydra_command

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


@hydra_command("evaluate")
def main(cfg: DictConfig) -> None:
    """One job, one row.json in its output folder and one table on the terminal.

    Everything cheap is checked first. A job whose equal has finished in the same
    folder is not run again.
    """
    from rich.console import Console

    from mechlearn.config import model_checks, resuming, tasks, tracking
    from mechlearn.config.specs import output_dir
    from mechlearn.evaluation.finished import FINGERPRINT
    from mechlearn.evaluation.growth_scores import BASELINES
    from mechlearn.evaluation.rows import write_row
    from mechlearn.report.row_table import row_table

    bundle = model_checks.check_evaluate(cfg)
    inputs = tasks.open_task(cfg, bundle)
    mark = resuming.job_fingerprint(cfg, inputs)
    if resuming.nothing_to_do(cfg, mark):
        return
    with tracking.running_logger(cfg) as logger:
        tracking.begin(logger, cfg, bundle)
        row = {**tasks.run_task(cfg, inputs), FINGERPRINT: mark}
        path = write_row(output_dir(), row)
        tracking.end_evaluation(logger, cfg, bundle, row)
    Console().print(row_table(row, hidden=(FINGERPRINT,), methods=BASELINES))
    log.info("row: %s", path)


if __name__ == "__main__":
    main()

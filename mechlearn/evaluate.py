"""Score the models: python -m mechlearn.evaluate -m +experiment=grid_search sampler.nl=100,200."""

from __future__ import annotations

import logging

import hydra
from omegaconf import DictConfig

from mechlearn.config import build, errors, model_checks, recipes, resuming, schema, tasks, tracking
from mechlearn.evaluation.finished import FINGERPRINT
from mechlearn.evaluation.rows import write_row

log = logging.getLogger(__name__)
schema.register()


@hydra.main(version_base="1.3", config_path=recipes.conf_dir(), config_name="evaluate")
@errors.clear_errors
def main(cfg: DictConfig) -> None:
    """One job, one row.json in its output folder; everything cheap is checked first.

    A job whose equal has finished in the same folder is not run again.
    """
    bundle = model_checks.check_evaluate(cfg)
    inputs = tasks.open_task(cfg, bundle)
    mark = resuming.job_fingerprint(cfg, inputs)
    if resuming.nothing_to_do(cfg, mark):
        return
    with tracking.running_logger(cfg) as logger:
        tracking.begin(logger, cfg, bundle)
        row = {**tasks.run_task(cfg, inputs), FINGERPRINT: mark}
        path = write_row(build.output_dir(), row)
        tracking.end_evaluation(logger, cfg, bundle, row)
    log.info("row: %s", path)


if __name__ == "__main__":
    main()

"""The logger of a job, begun and finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

__all__ = ["running_logger"]


@contextmanager
def running_logger(cfg: DictConfig) -> Iterator[Logger]:
    """`cfg.logger`, with the whole config as hyperparameters; finished at the end.

    W&B keeps one run a process unless it is finished: without this the jobs of a sweep would all
    write into the first one's.
    """
    logger: Logger = instantiate(cfg.logger)
    status = "failed"
    try:
        yield logger
        status = "success"
    finally:
        logger.finalize(status)
        finish = getattr(getattr(logger, "experiment", None), "finish", None)
        if callable(finish):
            finish(exit_code=int(status == "failed"))

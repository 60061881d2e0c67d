"""The models of an evaluation or a forecast, and what these can be refused for in seconds."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig

from mechlearn.checks import in_range
from mechlearn.config.growth_config import course_change, growth_spec, prior_note
from mechlearn.config.growth_tasks import GROWTH_TASKS
from mechlearn.config.hardware import resolve_device
from mechlearn.config.series_source import check_series
from mechlearn.config.specs import map_spec, sampler_spec
from mechlearn.config.stores import check_source, check_store
from mechlearn.config.tasks import task_config
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.model_pair import ModelBundle, load_models

__all__ = ["check_evaluate", "check_forecast", "check_grid"]


log = logging.getLogger(__name__)


def check_evaluate(cfg: DictConfig) -> ModelBundle | None:
    """All that an evaluation can be refused for; the models, which have to fit data and sampler.

    None for a task of sizes alone: it needs no model.
    """
    spec = sampler_spec(cfg)
    growth_spec(cfg)
    task = task_config(cfg)
    if task.name in ("growth_fits", "longitudinal"):
        _warn(cfg)
    if task.name in GROWTH_TASKS:
        check_series(cfg, task)
        return None
    check_store(cfg)
    models = _load(cfg, spec)
    check_grid(cfg, models)
    log.info("%s", models.name)
    return models


def check_forecast(cfg: DictConfig) -> ModelBundle:
    """All that a forecast can be refused for; the models, whose grid the data is brought to."""
    spec = sampler_spec(cfg)
    growth_spec(cfg)
    course_change(cfg)
    map_spec(cfg.maps)
    in_range("count", cfg.count, 1, 1000)
    check_source(cfg)
    _warn(cfg)
    return _load(cfg, spec)


def _warn(cfg: DictConfig) -> None:
    if (note := prior_note(cfg)) is not None:
        log.warning("%s", note)


def _load(cfg: DictConfig, spec: SamplerSpec) -> ModelBundle:
    return load_models(
        cfg.checkpoints.denoiser, cfg.checkpoints.guide, spec=spec, guide_kind=cfg.guide.kind,
        device=resolve_device(cfg.accelerator),
    )  # fmt: skip


def check_grid(cfg: DictConfig, models: ModelBundle) -> None:
    """The slices must lie on the grid that the models know, and hold their contrasts."""
    data, model = cfg.data.prepare, models.denoiser
    pairs: dict[str, tuple[Any, Any]] = {
        "data.prepare.size": (data.size, model.size),
        "data.prepare.pixel_mm": (data.pixel_mm, model.pixel_mm),
    }
    if not set(model.contrasts) <= set(data.contrasts):
        pairs["data.prepare.contrasts"] = (list(data.contrasts), list(model.contrasts))
    for key, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise ValueError(
                f"{key}={mine}: the models were trained on {theirs} ({model.source}). Prepare the "
                f"data with {key}={theirs}, or give other checkpoints."
            )

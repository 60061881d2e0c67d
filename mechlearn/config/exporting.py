"""The export command: check the settings and write the folder."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from mechlearn.checks import one_of
from mechlearn.config.specs import sampler_spec
from mechlearn.evaluation.model_pair import load_models
from mechlearn.models.exports.pair import LAYOUTS, ExportSpec, check_free, export_pair

__all__ = ["export_models"]

log = logging.getLogger(__name__)


def export_models(cfg: DictConfig) -> Path:
    """Write `cfg.checkpoints` to `cfg.out` in `cfg.format`; returns the folder.

    Raises:
        ValueError, FileNotFoundError: see `load_models` and `export_pair`.
    """
    one_of("format", cfg.format, tuple(LAYOUTS))
    spec = ExportSpec(
        name=cfg.name, description=cfg.description, sampler=sampler_spec(cfg), half=cfg.half,
        license=cfg.license, authors=cfg.authors, trained_on=cfg.trained_on,
        datasets=tuple(cfg.datasets),
    )  # fmt: skip
    check_free(Path(cfg.out), overwrite=cfg.overwrite)
    models = load_models(
        cfg.checkpoints.denoiser, cfg.checkpoints.guide, spec=spec.sampler,
        guide_kind=cfg.guide.kind,
    )  # fmt: skip
    log.info("%s", models.name)
    for role, model in (("denoiser", models.denoiser), ("guide", models.guide)):
        if not (model.card.get("trained_on") or spec.trained_on):
            log.warning("the card of the %s (%s) has no training data; give them with "
                        "trained_on='...'", role, model.source)  # fmt: skip
    return export_pair(
        models.denoiser, models.guide, cfg.out, layout=cfg.format, spec=spec,
        overwrite=cfg.overwrite,
    )  # fmt: skip

"""Load the models of an evaluation or a forecast, and check that the data match them."""

from __future__ import annotations

from omegaconf import DictConfig

from mechlearn.checks import in_range
from mechlearn.config.growth_config import course_change, growth_spec, warn_of_prior
from mechlearn.config.hardware import resolve_device
from mechlearn.config.specs import map_spec, sampler_spec
from mechlearn.config.stores import check_source, data_config
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.model_pair import ModelBundle, load_models

__all__ = ["check_forecast", "check_grid", "load_bundle"]


def check_forecast(cfg: DictConfig) -> ModelBundle:
    """Check the settings of a forecast; returns the models, whose grid the data are prepared on."""
    spec = sampler_spec(cfg)
    growth_spec(cfg)
    course_change(cfg)
    map_spec(cfg.maps)
    in_range("count", cfg.count, 1, 1000)
    check_source(cfg)
    warn_of_prior(cfg)
    return load_bundle(cfg, spec)


def load_bundle(cfg: DictConfig, spec: SamplerSpec) -> ModelBundle:
    """The models of `cfg.checkpoints` with their sampler."""
    return load_models(
        cfg.checkpoints.denoiser, cfg.checkpoints.guide, spec=spec, guide_kind=cfg.guide.kind,
        device=resolve_device(cfg.accelerator),
    )  # fmt: skip


def check_grid(cfg: DictConfig, models: ModelBundle) -> None:
    """ValueError for data with another grid or intensity scale than those of the training.

    The check compares `data.prepare`; `stores.open_store` refuses a store that was prepared with
    other settings.
    """
    asked, model = data_config(cfg).prepare, models.denoiser
    known = list(asked.contrasts)
    pairs = {
        "size": (asked.size, model.size),
        "pixel_mm": (asked.pixel_mm, model.pixel_mm),
        "percentiles": (list(asked.percentiles), list(model.intensity["percentiles"])),
        "contrasts": (known, known if set(model.contrasts) <= set(known)
                      else list(model.contrasts)),
    }  # fmt: skip
    for key, (mine, theirs) in pairs.items():
        if mine != theirs:
            raise ValueError(
                f"data.prepare.{key}={mine}: the models were trained on {theirs} ({model.source}). "
                f"Prepare the data with data.prepare.{key}={theirs} under another data.name, or "
                "give other checkpoints."
            )

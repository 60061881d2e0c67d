"""Checks of a training run that take seconds, before data is read."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.config.build import check_there, load_init, noise_schedule, resume_path
from mechlearn.config.growth_config import growth_spec
from mechlearn.config.hardware import device_count
from mechlearn.config.names import in_multirun
from mechlearn.config.specs import sampler_spec
from mechlearn.config.stores import check_store, data_config
from mechlearn.models.checkpoint_files import read_checkpoint
from mechlearn.models.checkpoints import KINDS, load_denoiser, load_guide

__all__ = ["check_devices", "check_train"]


def check_train(cfg: DictConfig) -> None:
    """All checks of a training run."""
    one_of("model.kind", cfg.model.kind, KINDS)
    check_devices(cfg)
    spec, schedule = sampler_spec(cfg), noise_schedule(cfg)
    if spec.nl > schedule.levels:
        raise ValueError(
            f"sampler.nl={spec.nl}: schedule.levels={schedule.levels} is all there is. Lower it."
        )
    growth_spec(cfg)
    data_config(cfg)
    if (resumed := resume_path(cfg)) is not None:
        read_checkpoint(resumed)
    if cfg.init is not None:
        load_init(cfg)
    check_store(cfg)
    _check_partner(cfg)


def check_devices(cfg: DictConfig) -> None:
    """Raise for several devices in a sweep, because each process starts the whole sweep again."""
    devices = cfg.trainer.devices
    plain = OmegaConf.to_container(devices) if OmegaConf.is_config(devices) else devices
    number = device_count(plain)
    spreads = str(cfg.trainer.strategy) != "auto" or torch.cuda.device_count() > 1
    all_there_are = str(plain) == "-1" or (number is None and spreads)
    if in_multirun() and (all_there_are or (number or 1) > 1):
        raise ValueError(
            f"trainer.devices={devices}, trainer.strategy={cfg.trainer.strategy}: several devices "
            "in a multirun would start the whole sweep once a device. Use trainer.devices=1 and "
            "run jobs side by side (launcher=joblib, slurm or ray), or start the jobs one by one "
            "without -m."
        )


def _check_partner(cfg: DictConfig) -> None:
    """Check that the partner model of the previews has the same noise schedule."""
    previews = cfg.callbacks.get("previews")
    partner = previews.get("partner") if previews is not None else None
    if partner is None:
        return
    check_there("callbacks.previews.partner", partner)
    if cfg.model.kind == "ddpm":
        model = load_guide(Path(partner) if partner != "demo" else partner, kind=cfg.guide.kind)
    else:
        model = load_denoiser(partner)
    if model.schedule != noise_schedule(cfg):
        raise ValueError(
            f"callbacks.previews.partner={partner}: trained on {model.schedule}, this run on "
            f"{noise_schedule(cfg)}. Take a partner of the same schedule, or null."
        )

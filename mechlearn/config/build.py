"""Objects of the library from a composed config."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from mechlearn.config.hardware import (
    device_count,
    loader_workers,
    resolve_devices,
    resolve_precision,
)
from mechlearn.config.specs import plain_values, sampler_spec
from mechlearn.data.module import SliceDataModule
from mechlearn.data.store import SliceStore
from mechlearn.diffusion.schedule import NoiseSchedule
from mechlearn.models.checkpoints import LoadedModel, load_model
from mechlearn.models.ddpm import DDPMModule
from mechlearn.models.guides import GuideModule
from mechlearn.models.label_segmentation import LabelSegmentationModule
from mechlearn.models.noised_module import NoisedModule

__all__ = [
    "build_callbacks",
    "build_datamodule",
    "build_module",
    "build_trainer",
    "check_there",
    "load_init",
    "noise_schedule",
    "resume_path",
]

log = logging.getLogger(__name__)
PREVIEWS = "mechlearn.models.previews.PreviewCallback"


def noise_schedule(cfg: DictConfig) -> NoiseSchedule:
    """The noise schedule of `cfg.schedule`."""
    return NoiseSchedule(**{str(k): v for k, v in plain_values(cfg.schedule).items()})


def build_module(
    cfg: DictConfig, *, data: dict[str, Any], trained_on: str = ""
) -> NoisedModule:
    """The LightningModule of `cfg.model`; `data` is the card of the training slices, see
    `trained_on`."""
    model = plain_values(cfg.model)
    kind, network = model.pop("kind"), model.pop("network")
    model.pop("ema_decay")  # an argument of the averaging callback
    of_ddpm = {k: model.pop(k) for k in ("vlb_weight", "label_dropout", "parts")}
    adversarial = {k: model.pop(k) for k in ("adversarial_l2", "adversarial_smooth_px")}
    options: dict[str, Any] = {
        "schedule": noise_schedule(cfg), "data": data, "seed": cfg.seed, "lr": cfg.optimizer.lr,
    }  # fmt: skip
    network = {k: v for k, v in network.items() if v is not None}
    network["contrasts"] = len(data["contrasts"])
    module: NoisedModule
    if kind == "ddpm":
        module = DDPMModule(network, **of_ddpm, **options, **model)
    elif kind == "label_segmenter":
        module = LabelSegmentationModule(network, **options, **model)
    else:
        module = GuideModule(kind, network, **adversarial, **options, **model)
    if trained_on:
        module.card["trained_on"] = trained_on
    if cfg.init is not None and resume_path(cfg) is not None:
        log.warning("init=%s is not used: the run goes on from its own checkpoint", cfg.init)
    elif cfg.init is not None:
        start = load_init(cfg)
        mine, theirs = module.card["network"], start.card["network"]
        if theirs not in (mine, {k: v for k, v in mine.items() if k != "inpainter"}):
            raise ValueError(
                f"init={cfg.init}: its network is {theirs}, this run's is {mine}. Take the model "
                "group it was trained with."
            )
        weights = start.module.state_dict()
        module.network.load_state_dict({**module.network.state_dict(), **weights})
    return module


def load_init(cfg: DictConfig) -> LoadedModel:
    """The checkpoint with the initial weights; ValueError if it is of another kind."""
    check_there("init", cfg.init)
    start = load_model(cfg.init, demo_kind=cfg.model.kind)
    if start.kind != cfg.model.kind:
        raise ValueError(f"init={cfg.init}: a {start.kind}; this run trains a {cfg.model.kind}.")
    return start


def check_there(key: str, source: str) -> None:
    """Raise FileNotFoundError with the key, if there is no such checkpoint."""
    if source != "demo" and "://" not in source and not Path(source).expanduser().exists():
        raise FileNotFoundError(f"{key}={source}: no such checkpoint. Give its path, or demo.")


def build_datamodule(cfg: DictConfig, store: SliceStore) -> SliceDataModule:
    """Loaders of a store from `cfg.data.loader`, with at most one worker a CPU core."""
    contrasts = None if cfg.data.contrasts is None else list(cfg.data.contrasts)
    loader = plain_values(cfg.data.loader)
    loader["augment"] = OmegaConf.to_object(cfg.data.loader.augment)
    loader["num_workers"] = loader_workers(
        loader["num_workers"], processes=device_count(_devices(cfg)) or torch.cuda.device_count()
    )
    return SliceDataModule(store.root, contrasts=contrasts, seed=cfg.seed, **loader)


def build_callbacks(cfg: DictConfig) -> list[Callback]:
    """The callbacks of `cfg.callbacks` in order, without null entries."""
    built = []
    for name, node in cfg.callbacks.items():
        if node is None or (not cfg.trainer.enable_progress_bar and name == "progress"):
            continue
        values: dict[str, Any] = {}
        if node.get("_target_") == PREVIEWS:
            values["sampler"] = sampler_spec(cfg)
        if name in ("checkpoint", "last") and (resumed := resume_path(cfg)) is not None:
            # Lightning loses the best checkpoint if the folder changes.
            values["dirpath"] = str(resumed.parent)
        # Not through Hydra, which converts a spec among its arguments into a config node.
        built.append(instantiate(node, _partial_=True)(**values))
    return built


def _devices(cfg: DictConfig) -> Any:
    trainer = cfg.trainer
    return resolve_devices(
        _container(trainer.devices), accelerator=trainer.accelerator, strategy=trainer.strategy
    )


def build_trainer(cfg: DictConfig, *, logger: Logger) -> pl.Trainer:
    """`cfg.trainer` with precision and devices for this machine."""
    values = {
        "precision": resolve_precision(cfg.trainer.precision, accelerator=cfg.trainer.accelerator),
        "devices": _devices(cfg),
    }
    log.info("precision %(precision)s, devices %(devices)s", values)
    if cfg.resume is not None:
        log.info("resume=%s: %s", cfg.resume, resume_path(cfg) or "no checkpoint yet")
    trainer: pl.Trainer = instantiate(
        cfg.trainer, callbacks=build_callbacks(cfg), logger=logger, **values
    )
    return trainer


def _container(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def resume_path(cfg: DictConfig) -> Path | None:
    """The checkpoint to resume from: none, the newest of this experiment, or the given one.

    Raises:
        FileNotFoundError: the given path does not exist.
    """
    if cfg.resume is None:
        return None
    if cfg.resume != "auto":
        path = Path(cfg.resume).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"resume={cfg.resume}: no such checkpoint. Take auto or null.")
        return path
    runs = Path(cfg.paths.outputs) / "train" / cfg.name
    found = sorted(
        runs.glob("*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime
    )
    return found[-1] if found else None

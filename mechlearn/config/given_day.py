"""The day of a forecast as the user typed it."""

from __future__ import annotations

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

__all__ = ["given_day"]


def given_day(cfg: DictConfig) -> str | float | None:
    """`cfg.day` as it was typed: Hydra reads `day=+60` as 60, which would be another day."""
    typed = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    for word in typed:
        key, _, value = str(word).partition("=")
        if key == "day" and value.startswith("+"):
            return value
    return None if cfg.day is None else str(cfg.day)

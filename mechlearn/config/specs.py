"""The library's specs from a composed config, without slow imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.map_spec import MapSpec

__all__ = ["map_spec", "output_dir", "plain_values", "sampler_spec", "typed_command",
           "typed_words"]  # fmt: skip


def output_dir() -> Path:
    """Hydra's output folder of this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def typed_words() -> list[str]:
    """The overrides of this job, as they were typed."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [str(word) for word in words]


def typed_command(name: str) -> str:
    """The command line of this job, for the provenance in written files."""
    return " ".join([f"python -m mechlearn.{name}", *typed_words()])


def sampler_spec(cfg: DictConfig) -> SamplerSpec:
    """`cfg.sampler` as a spec, which checks its ranges."""
    spec = OmegaConf.to_object(cfg.sampler)
    assert isinstance(spec, SamplerSpec)
    return spec


def map_spec(node: DictConfig) -> MapSpec:
    """A `maps` node as a spec, which checks its ranges."""
    spec = OmegaConf.to_object(node)
    assert isinstance(spec, MapSpec)
    return spec


def plain_values(node: DictConfig) -> dict[str, Any]:
    """A config as nested builtin values."""
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()}

"""Schemas of all recipes: an unknown key or a wrong type is an error.

The nodes of sampler, growth, maps, slices and phantoms are the library's specs, so a default is
defined only once; a spec checks its ranges when it is built from a node.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from mechlearn.config.names import register_resolvers
from mechlearn.data.augmentation_spec import AugmentationSpec
from mechlearn.data.store_spec import PrepareSpec, SplitSpec
from mechlearn.diffusion.sampler_spec import SamplerSpec
from mechlearn.evaluation.map_spec import MapSpec
from mechlearn.evaluation.task_spec import TaskSpec
from mechlearn.growth.growth_spec import GrowthSpec
from mechlearn.phantom.phantom_spec import PhantomSpec

__all__ = [
    "DataConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ForecastConfig",
    "ModelConfig",
    "PrepareConfig",
    "ScheduleConfig",
    "TrainConfig",
    "WhatIfConfig",
    "register",
]


@dataclass
class PathsConfig:
    outputs: str = "outputs"
    data: str = MISSING
    stores: str = MISSING


@dataclass
class ScheduleConfig:
    """Noise schedule of a training; trained models hold theirs in their checkpoint."""

    kind: str = "linear"
    levels: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02


@dataclass
class LoaderConfig:
    """Loaders of a training run."""

    batch_size: int = 10
    num_workers: int = 2
    flip: bool = True
    val_slices: int | None = None  # evenly spaced over all validation patients; null for all
    tumour_share: float | None = None  # of the drawn slices; null draws each slice once a pass
    drop_contrasts: float = 0.0  # probability that a contrast of a training slice is left out
    shares: dict[str, float] = field(default_factory=dict)  # data set -> share of training slices
    augment: AugmentationSpec = field(default_factory=AugmentationSpec)


@dataclass
class DataConfig:
    """Source of slices: `kind` is phantom, manifest, or a public cohort (data.adapters)."""

    kind: str = MISSING
    name: str | None = None  # of the store below paths.stores
    root: Any = None  # a cohort: one folder or several; phantom: output folder
    tables: Any = None  # of a cohort, if they are not below root: files or their folder
    manifest: str | None = None  # CSV of your own NIfTI files
    contrasts: list[str] | None = None  # channels of a model in training; null for all of the store
    label_scheme: str | None = None  # of a cohort, replaces its default
    options: dict[str, Any] = field(default_factory=dict)  # keys of a cohort's adapter
    workers: int = 1  # processes that prepare or generate
    skip_bad: bool = False
    prepare: PrepareSpec = field(default_factory=PrepareSpec)
    splits: SplitSpec = field(default_factory=SplitSpec)  # if the source has none
    phantom: PhantomSpec = field(default_factory=PhantomSpec)
    loader: LoaderConfig = field(default_factory=LoaderConfig)


@dataclass
class ModelConfig:
    """A network in training; warm-up and decay are here because they depend on its size."""

    kind: str = MISSING  # ddpm, regressor or segmenter
    network: dict[str, Any] = MISSING
    ema_decay: float = 0.9999
    vlb_weight: float = 0.001  # only ddpm
    label_dropout: float = 0.1  # only ddpm with a label map: share of images without one
    parts: list[str] = field(default_factory=lambda: ["denoiser", "inpainter"])  # that are trained
    adversarial_l2: float = 0.0  # only guides: L2 norm of adversarial perturbations of a slice
    adversarial_smooth_px: float = 0.0  # half of these use the gradient smoothed as in sampling
    levels: str = "uniform"  # or importance, by past losses (Nichol & Dhariwal)
    low_level_share: float = 0.0
    low_level: int = 500
    warmup_steps: int = 0
    decay: bool = False


@dataclass
class OptimizerConfig:
    lr: float = 1e-4


@dataclass
class GuideConfig:
    kind: str = "segmenter"


@dataclass
class CheckpointsConfig:
    """Paths; `demo` is the packaged model."""

    denoiser: str = "demo"
    guide: str = "demo"
    drawer: str = "demo"  # label-conditioned denoiser of a volume forecast


@dataclass
class CommonConfig:
    """Keys of all commands that sample or train."""

    name: str = MISSING  # of the experiment: names output folders and W&B runs
    seed: int = 0
    allow_targets: list[str] = field(default_factory=list)  # packages of your own; typed alone
    data: DataConfig = field(default_factory=DataConfig)
    guide: GuideConfig = field(default_factory=GuideConfig)
    checkpoints: CheckpointsConfig = field(default_factory=CheckpointsConfig)
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    growth: GrowthSpec = field(default_factory=GrowthSpec)
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class TrainConfig(CommonConfig):
    resume: str | None = None  # auto: the newest checkpoint of this experiment; or a path
    init: str | None = None
    task: TaskSpec = field(default_factory=TaskSpec)
    model: ModelConfig = field(default_factory=ModelConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: dict[str, Any] = MISSING
    callbacks: dict[str, Any] = MISSING
    logger: dict[str, Any] = MISSING


@dataclass
class EvaluateConfig(CommonConfig):
    task: TaskSpec = field(default_factory=TaskSpec)
    accelerator: str = "auto"
    rerun: bool = False  # run again although an equal job has finished in the same folder
    objectives: list[str] = field(default_factory=list)  # keys of the row, for a sweeper
    logger: dict[str, Any] = MISSING


@dataclass
class WhatIfConfig:
    """Counterfactual radiotherapy; all null: no counterfactual forecast."""

    rt: bool | None = None  # false: no radiotherapy
    rt_start_day: float | None = None
    dose_gy: float | None = None  # with fractions
    fractions: int | None = None
    course: int | None = None  # number of the changed course, from 1; null for the last


@dataclass
class ForecastConfig(CommonConfig):
    mode: str = "auto"  # volume: 3D map; slices: the method of the paper; auto: by the data
    patient: str | None = None  # manifest CSV, table of volumes or folder of one visit
    patient_id: str | None = None  # patient, if the manifest holds several
    patients_table: str | None = None  # volume: CSV of covariates and treatments
    day: Any = None  # 120, +60 (after the last visit), a date, or several; null: last held out
    prior: str | None = "auto"  # volume: packaged prior of gliomas, or a file
    draw: int = 3  # volume: number of generated slices, at quantiles of the volume; 0 for none
    where: str = "auto"  # volume: order of growth, see spatial.volume_arrival
    dicom_reference: str | None = None  # volume: series that a DICOM SEG of the map refers to
    count: int = 3  # number of slices
    maps: MapSpec = field(default_factory=MapSpec)
    what_if: WhatIfConfig = field(default_factory=WhatIfConfig)
    show: str = "table"  # volume: terminal output; or quiet, json (flags --quiet and --json)
    accelerator: str = "auto"


@dataclass
class PrepareConfig:
    name: str = "prepare"
    mode: str = "prepare"  # or check: examine all visits, prepare nothing
    align: str | None = None  # folder: co-register the visits of data.manifest into it
    strip: str | None = None  # folder: brain masks of the visits, made by `command`
    segment: str | None = None  # folder: segmentations of the visits, packaged or by `command`
    command: str | None = None  # with the words INPUT (or T1N, T1C, T2W, T2F) and OUTPUT
    skip: str | None = None  # check.json of mode=check: leave out its bad visits
    data: DataConfig = field(default_factory=DataConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)


@dataclass
class ExportConfig:
    """Export of a trained pair as a folder."""

    name: str = MISSING  # of the model
    allow_targets: list[str] = field(default_factory=list)
    format: str = "safetensors"  # or monai, huggingface
    out: str = MISSING
    overwrite: bool = False  # replace an older export
    half: bool = False
    description: str = ""
    license: str = "apache-2.0"
    authors: str = ""
    trained_on: str | None = None
    datasets: list[str] = field(default_factory=list)
    guide: GuideConfig = field(default_factory=GuideConfig)
    checkpoints: CheckpointsConfig = field(default_factory=CheckpointsConfig)
    sampler: SamplerSpec = field(default_factory=SamplerSpec)
    paths: PathsConfig = field(default_factory=PathsConfig)


SCHEMAS = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "forecast": ForecastConfig,
    "prepare": PrepareConfig,
    "export": ExportConfig,
}


def register() -> None:
    """Register the schemas and resolvers of the recipes with Hydra; may be called twice."""
    register_resolvers()
    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(group="schema", name=name, node=schema, package="_global_")

"""Ranges of the numbers of all recipes, in one table; checked before data or weights are read.

Values of sampler, growth, maps, tasks and phantoms have their ranges in the library's specs; here
stand those of the recipes alone: training, loaders, preparation, commands.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.data.labels import SCHEMES
from mechlearn.data.store_spec import checked_contrasts
from mechlearn.diffusion.sampler_spec import parse_scale
from mechlearn.evaluation.forecast_day import day_of, split_days

__all__ = ["CHOICES", "RANGES", "Range", "check_names", "check_ranges"]

NAME = re.compile(r"[^/\\\0]{0,100}")
# They become parts of folders' names.
NAMES = ("name", "data.name", "data.kind", "model.kind", "task.name")
PLACES = ("paths.outputs", "paths.data", "paths.stores")
ANY_DATE = dt.date(2000, 1, 1)  # that of the first visit is not known yet
UNTYPED = ("trainer.", "callbacks.", "logger.")  # groups without a schema: Lightning's own keys
LAUNCHES = 1e9  # steps, batches: more than any run has


@dataclass(frozen=True)
class Range:
    """Of a number: smallest and largest value.

    Attributes:
        above: leaves the smallest out.
        also: other values that are taken.
        null: null is taken too. Groups with a schema say that themselves.
        listed: a list of such numbers is taken too.
    """

    low: float
    high: float
    above: bool = False
    also: tuple[float, ...] = ()
    remedy: str = ""
    null: bool = False
    listed: bool = False

    def check(self, key: str, value: Any) -> None:
        """ValueError naming the key unless the value is a number within (NaN never is)."""
        if value is None and (self.null or not key.startswith(UNTYPED)):
            return
        if isinstance(value, list) and self.listed:
            for item in value:
                self.check(key, item)
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{key}={value!r}: must be a number. {self.remedy}".rstrip())
        within = self.low < value if self.above else self.low <= value
        if (within and value <= self.high) or value in self.also:
            return
        low = f"more than {self.low:g}" if self.above else f"{self.low:g} or more"
        also = "".join(f", or {v:g}" for v in self.also)
        raise ValueError(f"{key}={value}: must be {low} and at most {self.high:g}{also}. "
                         f"{self.remedy}".rstrip())  # fmt: skip


SHARE = Range(0.0, 1.0)
COUNT = Range(1, LAUNCHES)
COUNT_OR_NONE = Range(0, LAUNCHES)
SCALE = Range(0.0, 1e9, remedy="The paper: 50k.")

RANGES: dict[str, Range] = {
    **dict.fromkeys(
        ("seed", "growth.seed", "data.splits.seed", "data.phantom.seed"), Range(0, 2**32 - 1)
    ),
    "count": Range(1, 1000),
    "draw": Range(0, 1000, remedy="0 draws none."),
    "optimizer.lr": Range(0.0, 1.0, above=True, remedy="1e-4 is usual."),
    "model.ema_decay": Range(0.0, 0.999999, remedy="0.9999 is usual."),
    "model.vlb_weight": Range(0.0, 1000.0, remedy="The paper: 0.001."),
    "model.label_dropout": SHARE,
    "model.adversarial_l2": Range(0.0, 1000.0),
    "model.adversarial_smooth_px": Range(0.0, 64.0),
    "model.low_level_share": SHARE,
    "model.low_level": Range(1, 100_000),
    "model.warmup_steps": COUNT_OR_NONE,
    "model.network.channels": Range(1, 16_384, listed=True),
    "model.network.num_res_blocks": Range(1, 64, listed=True),
    "model.network.stem": Range(1, 16),
    "model.network.width": Range(1, 16_384),
    "model.network.norm_num_groups": Range(1, 1024),
    "model.network.classes": Range(1, 1000, remedy="null for a network without classes."),
    "schedule.levels": Range(2, 100_000),
    "schedule.beta_start": Range(0.0, 0.999, above=True),
    "schedule.beta_end": Range(0.0, 0.999, above=True),
    "data.workers": Range(1, 1024),
    "data.prepare.size": Range(8, 4096, remedy="Pixels of a side of a slice; the paper: 256."),
    "data.prepare.pixel_mm": Range(0.1, 20.0, remedy="The paper: 1 mm."),
    "data.loader.batch_size": Range(1, 65_536),
    "data.loader.num_workers": Range(0, 1024),
    "data.loader.val_slices": COUNT,
    "data.loader.tumour_share": SHARE,
    "data.loader.drop_contrasts": Range(0.0, 0.99),
    "data.loader.shares.*": Range(0.0, 1.0, above=True),
    "trainer.max_steps": Range(1, LAUNCHES, also=(-1,), remedy="-1: by trainer.max_epochs."),
    "trainer.max_epochs": Range(1, LAUNCHES, null=True, also=(-1,),
                                remedy="-1: by trainer.max_steps."),
    "trainer.accumulate_grad_batches": Range(1, 100_000),
    "trainer.gradient_clip_val": Range(0.0, 1e9, above=True, null=True,
                                       remedy="null does not clip."),
    "trainer.val_check_interval": Range(0.0, LAUNCHES, above=True, null=True),
    "trainer.check_val_every_n_epoch": Range(1, LAUNCHES, null=True),
    "trainer.log_every_n_steps": COUNT,
    "trainer.num_nodes": Range(1, 10_000),
    "trainer.num_sanity_val_steps": Range(0, LAUNCHES, also=(-1,)),
    "callbacks.*.every_minutes": Range(0.0, 1e6, above=True, null=True),
    "callbacks.*.every_n_steps": Range(1, LAUNCHES, null=True),
    "callbacks.*.decay": Range(0.0, 0.999999),
    "callbacks.*.every_n_validations": COUNT,
    "callbacks.*.n_slices": Range(1, 1000),
    "callbacks.*.patience": COUNT,
    "callbacks.*.refresh_rate": COUNT_OR_NONE,
    "callbacks.*.save_top_k": Range(0, 1000, also=(-1,), remedy="-1 keeps all."),
    "task.examples": Range(0, 10_000),
    "task.holdouts": Range(1, 1000),
    "task.multiples": Range(0.0, 1000.0, above=True, listed=True),
    "task.min_growth": Range(-1.0, 1e6, remedy="A share: 0.1 means 10%. null keeps all."),
    "what_if.rt_start_day": Range(-36_525, 36_525),
}
CHOICES: dict[str, Sequence[str | bool]] = {
    "accelerator": ("auto", "cpu", "cuda", "gpu", "mps"),
    "trainer.accelerator": ("auto", "cpu", "cuda", "gpu", "mps", "tpu"),
    "trainer.deterministic": (True, False, "warn"),
    "callbacks.*.monitor": ("val/loss", "train/loss"),
    "callbacks.*.mode": ("min", "max"),
    "callbacks.*.guide_kind": ("regressor", "segmenter"),
    "data.label_scheme": tuple(SCHEMES),
    "guide.kind": ("regressor", "segmenter"),
}
# Text where true or false belongs would count as true: logger.images=no would send pictures.
FLAGS = (
    "trainer.enable_*", "trainer.use_distributed_sampler", "callbacks.*.upload",
    "callbacks.*.auto_insert_metric_name", "callbacks.*.enable_version_counter",
    "logger.images", "logger.offline", "logger.patient_names",
)  # fmt: skip
TEXTS = (
    "trainer.strategy", "trainer.default_root_dir", "callbacks.*.partner", "callbacks.*.directory",
    "callbacks.*.dirpath", "callbacks.*.filename", "logger.save_dir", "logger.name",
    "logger.version",
)  # fmt: skip
ATTENTION = "model.network.attention_levels"
MAY_BE_NULL = ("trainer.default_root_dir", "callbacks.*.filename", "callbacks.*.partner",
               "logger.name", "logger.version")  # fmt: skip


def check_names(words: Sequence[str]) -> None:
    """ValueError for a name that would lead out of the output folder; before a folder is made.

    Args:
        words: the overrides of the command line.
    """
    for word in words:
        key, _, value = word.lstrip("+").partition("=")
        plain = value.strip("'\"")
        if key in PLACES and not plain:
            raise ValueError(f"{key}= is empty: give a folder, such as {key}=results.")
        if key in NAMES and (not NAME.fullmatch(plain) or plain.startswith(".")):
            raise ValueError(
                f"{key}={plain}: a name becomes a folder: at most 100 characters, no '/' and no "
                "'.' at the beginning. Choose the place with paths.outputs=FOLDER."
            )


def check_ranges(cfg: DictConfig) -> None:
    """ValueError naming the key for a number or a choice that a recipe may not hold."""
    for key, value in _nodes(OmegaConf.to_container(cfg, resolve=True)):
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, float) and math.isnan(item):
                raise ValueError(f"{key}=nan: must be a number.")
        for pattern, allowed in RANGES.items():
            if fnmatchcase(key, pattern):
                allowed.check(key, value)
        for pattern, names in CHOICES.items():
            if fnmatchcase(key, pattern) and value is not None:
                one_of(key, value, names)
        _check_kind(key, value)
    OmegaConf.to_object(cfg)  # the library's specs check themselves
    _check_together(cfg)


def _check_kind(key: str, value: Any) -> None:
    if _matches(key, FLAGS) and not isinstance(value, bool):
        raise ValueError(f"{key}={value!r}: must be true or false.")
    if key == ATTENTION and not (isinstance(value, list) and {*map(type, value)} <= {bool}):
        raise ValueError(f"{key}={value!r}: must be a list such as [false,true].")
    null = value is None and _matches(key, MAY_BE_NULL)
    if _matches(key, TEXTS) and not isinstance(value, str) and not null:
        raise ValueError(f"{key}={value!r}: must be a text; quote a number: {key}=\"'12'\".")


def _matches(key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _check_together(cfg: DictConfig) -> None:
    channels = OmegaConf.select(cfg, "model.network.channels")
    if channels is not None and not (isinstance(channels, ListConfig) and channels):
        raise ValueError(f"model.network.channels={channels}: give a list such as [64,96].")
    if cfg.get("patient") is not None and cfg.data.kind == "phantom":
        raise ValueError(
            f"patient={cfg.patient} with data=phantom: the embedded cohort holds no other patient. "
            "Leave +experiment=demo (or data=phantom) out, or choose with patient_id=."
        )
    data = cfg.get("data")
    if data is not None and data.contrasts is not None:
        checked_contrasts("data.contrasts", data.contrasts, data.prepare.contrasts)
    if data is not None and isinstance(OmegaConf.select(data, "root"), DictConfig):
        raise ValueError(f"data.root={data.root}: must be a folder, or a list of folders.")
    if (scale := OmegaConf.select(cfg, "sampler.scale")) is not None:
        SCALE.check("sampler.scale", parse_scale(scale))
    if cfg.get("where") is not None:
        from mechlearn.spatial.volume_arrival import ORDERS  # scipy: not for other commands

        one_of("where", cfg.where, ORDERS)
    asked = OmegaConf.select(cfg, "task.evaluation") or ""
    if str(asked).endswith("size_response") and not cfg.task.multiples:
        raise ValueError("task.multiples=[]: give sizes to ask for, such as [0.5,1,2].")
    days = split_days(cfg.day) if cfg.get("day") is not None else [None]
    if not days:
        raise ValueError(f"day={cfg.day!r}: give a day such as 120 or +60, or null.")
    for day in filter(None, days):
        day_of(day, 0.0, "", first_date=ANY_DATE)


def _nodes(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every node; what stands in a list has the list's key."""
    if key:
        yield key, node
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _nodes(value, f"{key}.{name}" if key else str(name))
    for item in node if isinstance(node, list) else ():
        if isinstance(item, dict):
            yield from _nodes(item, key)

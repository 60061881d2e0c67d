"""From a data config to a slice store: found, prepared, or generated."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection
from pathlib import Path

from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.config.schema import DataConfig
from mechlearn.data.adapters.brats import find_brats
from mechlearn.data.manifest import VisitRecord, read_manifest
from mechlearn.data.phantom.cohort import write_cohort
from mechlearn.data.prepare import prepare
from mechlearn.data.splits import splits_beside
from mechlearn.data.store import SliceStore
from mechlearn.jobs.models import ModelBundle

__all__ = [
    "KINDS",
    "check_slices",
    "check_source",
    "check_store",
    "data_config",
    "make_store",
    "open_store",
    "phantom_patients",
    "store_root",
]

log = logging.getLogger(__name__)
KINDS = ("phantom", "brats", "manifest")


def data_config(cfg: DictConfig) -> DataConfig:
    """`cfg.data` as its dataclass, every value checked."""
    data = OmegaConf.to_object(cfg.data)
    assert isinstance(data, DataConfig)
    one_of("data.kind", data.kind, KINDS)
    return data


def _roots(data: DataConfig) -> list[Path]:
    if data.root is None:
        return []
    listed = data.root if isinstance(data.root, list) else [data.root]
    return [Path(str(root)).expanduser().absolute() for root in listed]


def store_root(cfg: DictConfig) -> Path:
    """Folder of the store; without a name it is called after the manifest's place and the grid."""
    data = data_config(cfg)
    name = data.name
    if name is None and data.manifest is not None:
        path = Path(data.manifest).expanduser().resolve()
        grid = f"{data.prepare.size}x{data.prepare.pixel_mm:g}mm"
        name = f"{path.stem}-{zlib.crc32(str(path).encode()):08x}-{grid}"
    if name is None:
        raise ValueError(
            "data.manifest=null: the manifest of your NIfTI files is needed. "
            "Give data.manifest=visits.csv (its columns are in README.md)."
        )
    return Path(cfg.paths.stores).expanduser() / name


def check_source(cfg: DictConfig) -> None:
    """Refuse a source that is not there, before anything is read.

    Raises:
        ValueError: data.root or data.manifest is not given.
        FileNotFoundError: it does not exist.
    """
    data = data_config(cfg)
    if data.kind == "manifest":
        store_root(cfg)
        path = Path(str(data.manifest)).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"data.manifest={data.manifest}: no such file.")
    if data.kind == "brats":
        roots = _roots(data)
        if not roots:
            raise ValueError(
                "data.root=null: the folder with the BraTS cases is needed. "
                "Give data.root=/data/BraTS2023, or several: data.root=[/data/GLI,/data/PED]."
            )
        for root in roots:
            if not root.is_dir():
                raise FileNotFoundError(f"data.root={root}: no such folder.")


def check_store(cfg: DictConfig) -> None:
    """Refuse to go on without a prepared store, with the command that makes it.

    A phantom cohort needs none: it is generated on first use.
    """
    data, root = data_config(cfg), store_root(cfg)
    if data.kind == "phantom" or (root / "store.json").is_file():
        return
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    words = [w for w in given if w.startswith(("data", "paths."))]
    if not any(w.startswith("data=") for w in words):
        words.insert(0, f"data={data.kind}")
    needed = {"brats": ("data.root", "FOLDER"), "manifest": ("data.manifest", "VISITS.csv")}
    key, example = needed[data.kind]
    if not any(w.startswith(f"{key}=") for w in words):
        words.append(f"{key}={example}")
    raise FileNotFoundError(
        f"{root}: no prepared slices here. Make them first: "
        f"python -m mechlearn.prepare {' '.join(words)}"
    )


def open_store(
    cfg: DictConfig,
    *,
    splits: Collection[str] | None = None,
    patients: Collection[str] | None = None,
) -> SliceStore:
    """The store of `cfg.data`; a phantom cohort is generated as far as it is needed.

    Args:
        splits, patients: of a phantom cohort, all by default.
    """
    check_store(cfg)
    if cfg.data.kind != "phantom":
        store, asked = SliceStore(store_root(cfg)), data_config(cfg).prepare
        if store.spec != asked:
            raise ValueError(
                f"{store.root}: prepared with {store.spec}, but data.prepare asks for {asked}. "
                "Give data.prepare as it was prepared, or prepare again under another data.name."
            )
        return store
    return make_store(cfg, splits=splits, patients=patients)


def make_store(
    cfg: DictConfig,
    *,
    splits: Collection[str] | None = None,
    patients: Collection[str] | None = None,
) -> SliceStore:
    """Prepare `cfg.data`; resumable. Jobs that want the same store wait for one another."""
    check_source(cfg)
    data, root = data_config(cfg), store_root(cfg)
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(root.parent / f".{root.name}.lock")):
        manifest = data.manifest if data.kind == "manifest" else None
        if data.kind == "phantom":
            manifest = str(write_cohort(
                _roots(data)[0], data.phantom, patients=patients, splits=splits,
                workers=data.workers,
            ))  # fmt: skip
        return prepare(
            _records(data, manifest, patients),
            root,
            spec=data.prepare,
            workers=data.workers,
            skip_bad=data.skip_bad,
            splits=(splits_beside(manifest) if manifest else None) or data.splits,
        )


def _records(
    data: DataConfig, manifest: str | None, patients: Collection[str] | None
) -> list[VisitRecord]:
    if manifest is None:
        return find_brats(_roots(data), label_scheme=data.label_scheme)
    # Absolute, because the store remembers its sources wherever it is opened later.
    records = read_manifest(Path(manifest).expanduser().absolute())
    return [r for r in records if patients is None or r.patient in patients]


def phantom_patients(cfg: DictConfig, split: str, limit: int | None) -> list[str] | None:
    """Names of the first patients of a phantom split, None for other data."""
    data = data_config(cfg)
    if data.kind != "phantom":
        return None
    return [key.name for key in data.phantom.patients(split)][:limit]


def check_slices(store: SliceStore, models: ModelBundle) -> None:
    """The opened slices must be what the models were trained on: grid, contrasts, intensities."""
    mine, theirs = store.card(), models.denoiser.card["data"]
    for key, value in theirs.items():
        if mine.get(key) != value:
            raise ValueError(
                f"{store.root}: {key} is {mine.get(key)}, the models were trained on {value} "
                f"({models.denoiser.source}). Prepare the data as they were, under another "
                "data.name, or give other checkpoints."
            )

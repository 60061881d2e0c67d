"""The slice store of a data config: open it, prepare it, or generate phantoms."""

from __future__ import annotations

import inspect
import logging
import re
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mechlearn.checks import one_of
from mechlearn.config.schema import DataConfig
from mechlearn.config.specs import typed_words
from mechlearn.data.adapters import ADAPTERS, adapter_of
from mechlearn.data.found import found_manifest, list_found, tell_others, without
from mechlearn.data.manifest import VisitRecord, read_manifest
from mechlearn.data.preparation import prepare
from mechlearn.data.splits import splits_beside
from mechlearn.data.store import SliceStore
from mechlearn.evaluation.model_pair import ModelBundle
from mechlearn.files import exclusive
from mechlearn.phantom.cohort_files import write_cohort

__all__ = [
    "KINDS",
    "check_source",
    "check_store",
    "data_config",
    "fitting_slices",
    "found_manifest",
    "make_store",
    "open_store",
    "phantom_patients",
    "source_records",
    "store_root",
]

log = logging.getLogger(__name__)
DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
KINDS = ("phantom", *ADAPTERS, "manifest")


def data_config(cfg: DictConfig) -> DataConfig:
    """`cfg.data` as a `DataConfig`, with all values checked."""
    data = OmegaConf.to_object(cfg.data)
    assert isinstance(data, DataConfig)
    if not DOTTED.fullmatch(data.kind):  # otherwise the import path of the user's adapter
        one_of("data.kind", data.kind, KINDS)
    return data


def _roots(data: DataConfig) -> list[Path]:
    if data.root is None:
        return []
    listed = data.root if isinstance(data.root, list) else [data.root]
    return [Path(str(root)).expanduser().absolute() for root in listed]


def store_root(cfg: DictConfig) -> Path:
    """Folder of the store; without a name it is named by the manifest's path and the grid."""
    data = data_config(cfg)
    name = data.name
    if name is None and data.manifest is not None:
        path = Path(data.manifest).expanduser().resolve()
        grid = f"{data.prepare.size}x{data.prepare.pixel_mm:g}mm"
        name = f"{path.stem}-{zlib.crc32(str(path).encode()):08x}-{grid}"
    if name is None and data.kind != "manifest":
        raise ValueError(f"data.name=null: the store of data={data.kind} needs a name.")
    if name is None:
        raise ValueError(
            "data.manifest=null: the manifest of your NIfTI files is needed. "
            "Give data.manifest=visits.csv (its columns are in docs/own-data.md)."
        )
    return Path(cfg.paths.stores).expanduser() / name


def check_source(cfg: DictConfig) -> None:
    """Check that the source exists, before anything is read.

    Raises:
        ValueError: data.root or data.manifest is missing; an option that the adapter does not have.
        FileNotFoundError: the folder or manifest does not exist.
    """
    data = data_config(cfg)
    if data.kind == "manifest":
        store_root(cfg)
        path = Path(str(data.manifest)).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"data.manifest={data.manifest}: no such file.")
    if data.kind == "phantom" and len(_roots(data)) != 1:
        raise ValueError(
            f"data.root={data.root}: one folder is needed, into which the phantom cohort is "
            "written. Leave data.root out for the usual one."
        )
    if data.kind not in ("phantom", "manifest"):
        _adapter_options(data)
        roots = _roots(data)
        if not roots:
            raise ValueError(
                f"data.root=null: the folder of the data set is needed (data={data.kind}). "
                "Give data.root=/data/BraTS2023, or several: data.root=[/data/GLI,/data/PED]."
            )
        for root in roots:
            if not root.is_dir():
                raise FileNotFoundError(f"data.root={root}: no such folder.")


def _adapter_options(data: DataConfig) -> dict[str, Any]:
    """Arguments of the adapter without the roots; ValueError for an unknown argument."""
    given = {"label_scheme": data.label_scheme, "tables": data.tables}
    options = {key: value for key, value in given.items() if value is not None}
    accepted = list(inspect.signature(adapter_of(data.kind)).parameters)
    own = [name for name in accepted if name not in ("root", "missing", *given)]
    unknown = sorted(set(data.options) - set(own))
    if unknown:
        raise ValueError(
            f"data.options.{unknown[0]}: data={data.kind} has the options "
            f"{', '.join(own) or 'none'}. Leave it out or correct its name."
        )
    if "tables" in options and "tables" not in accepted:
        raise ValueError(
            f"data.tables={data.tables}: data={data.kind} reads no tables. Leave it out."
        )
    return {**options, **data.options}


def check_store(cfg: DictConfig) -> None:
    """Check that the store is prepared; the error has the command that prepares it.

    A phantom cohort is generated at the first use instead.
    """
    data, root = data_config(cfg), store_root(cfg)
    if data.kind == "phantom" or (root / "store.json").is_file():
        return
    words = [w for w in typed_words() if w.startswith(("data", "paths."))]
    if not any(w.startswith("data=") for w in words):
        words.insert(0, f"data={data.kind}")
    by_manifest = data.kind == "manifest"
    key, example = ("data.manifest", "VISITS.csv") if by_manifest else ("data.root", "FOLDER")
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
    """The store of `cfg.data`; missing patients of a phantom cohort are generated.

    Args:
        splits, patients: part of a phantom cohort, all by default.
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
    skip: Collection[str] = (),
) -> SliceStore:
    """Prepare `cfg.data`; resumable. A lock prevents two jobs from preparing one store at once.

    Args:
        splits, patients: part of a phantom cohort, all by default.
        skip: PATIENT/SESSION of visits to leave out, or to remove from an existing store.

    Raises:
        ValueError: a visit to skip that does not exist; as `prepare`.
    """
    check_source(cfg)
    data, root = data_config(cfg), store_root(cfg)
    root.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(root.parent, what=f"makes {root.name}", name=f".{root.name}.lock"):
        manifest = data.manifest if data.kind == "manifest" else None
        if data.kind == "phantom":
            manifest = str(write_cohort(
                _roots(data)[0], data.phantom, patients=patients, splits=splits,
                workers=data.workers,
            ))  # fmt: skip
        missing: list[str] | None = [] if data.skip_bad or skip else None
        records = source_records(data, manifest, patients=patients, missing=missing)
        for message in missing or []:
            log.warning("left out: %s", message)
        if missing:
            log.warning("left out %d that are no usable visit", len(missing))
        records = without(records, skip)
        if manifest is None:
            path = list_found(records, found_manifest(root))
            log.info("found %d visits, listed in %s", len(records), path)
        store = prepare(
            records,
            root,
            spec=data.prepare,
            workers=data.workers,
            skip_bad=data.skip_bad,
            leave_out=skip,
            splits=_given_splits(manifest, patients) or data.splits,
        )
        if data.kind != "phantom":
            tell_others(store, records)
        return store


def _given_splits(manifest: str | None, patients: Collection[str] | None) -> dict[str, str] | None:
    """splits.json beside the manifest; with `patients`, an invalid or incomplete one is ignored."""
    if manifest is None:
        return None
    try:
        given = splits_beside(manifest)
    except ValueError as error:
        if patients is None:
            raise
        log.info("not used: %s", error)
        return None
    foreign = patients is not None and not set(patients) <= set(given or ())
    return None if foreign else given


def source_records(
    data: DataConfig,
    manifest: str | None,
    *,
    patients: Collection[str] | None = None,
    missing: list[str] | None = None,
) -> list[VisitRecord]:
    """The visits of a source, in the order of its names or rows.

    Args:
        manifest: file of the kinds `manifest` and `phantom`; None for the others.
        patients: only these.
        missing: None raises an error for an unusable visit; a list receives the messages instead,
            and the files of a manifest are not checked.
    """
    if manifest is None:
        find = adapter_of(data.kind)
        records = find(_roots(data), missing=missing, **_adapter_options(data))
        return [r for r in records if patients is None or r.patient in patients]
    # Absolute, because the store records its sources and can be opened from another folder.
    path = Path(manifest).expanduser().absolute()
    records = read_manifest(path, check_files=missing is None, missing=missing)
    return [r for r in records if patients is None or r.patient in patients]


def phantom_patients(cfg: DictConfig, split: str, limit: int | None) -> list[str] | None:
    """Names of the first patients of a phantom split, None for other data."""
    data = data_config(cfg)
    if data.kind != "phantom":
        return None
    return [key.name for key in data.phantom.patients(split)][:limit]


def fitting_slices(store: SliceStore, models: ModelBundle) -> SliceStore:
    """The opened slices with only the contrasts of the models; see `check_grid`."""
    return SliceStore(store.root, contrasts=models.denoiser.contrasts)

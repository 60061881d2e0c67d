"""Names of folders and groups: OmegaConf resolvers for the recipes."""

from __future__ import annotations

import re
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mechlearn.config.pseudonyms import words_without_places

__all__ = ["cell_folder", "in_multirun", "register_resolvers", "run_name", "sweep_group",
           "unshared_folder"]  # fmt: skip

LONGEST = 120  # characters of a run's name, for a list of runs
LONGEST_FOLDER = 180  # below the limit of file systems


def cell_folder(number: Any, overrides: str) -> str:
    """Folder name of a sweep's cell from its overrides: `grid_search,sampler.nl=200`.

    The name depends only on the overrides, so a sweep over more values finds its finished cells. A
    long name is cut and ends with a digest of the full name. Without overrides: the job number.
    """
    given = re.sub(r"(^|,)\+?experiment=", r"\1", overrides or "")
    words = re.sub(r"[^A-Za-z0-9_.,=+-]+", "_", given)
    return _cut(words, LONGEST_FOLDER, whole=given) or str(number)


def _cut(words: str, longest: int, *, whole: str) -> str:
    """The name cut to `longest` characters; a cut name ends with a digest of `whole`."""
    if len(words) <= longest:
        return words
    return f"{words[: longest - 9]}-{zlib.crc32(whole.encode()):08x}"


@cache
def unshared_folder(path: str) -> str:
    """Make the folder `path`, or `path-2`, `path-3`, ... if another process made it; its name.

    Commands that start in the same second then have different folders. If the folder cannot be
    made, `path` is returned, and the command reports the error later.
    """
    number, name = 1, path
    while True:
        try:
            Path(name).mkdir(parents=True)
        except FileExistsError:
            number += 1
            name = f"{path}-{number}"
        except OSError:
            return path
        else:
            return name


def in_multirun() -> bool:
    """Whether this job belongs to a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def sweep_group() -> str | None:
    """`grid_search/2026-01-31_12-00-00`, the same for all jobs of a sweep; None outside one."""
    if not in_multirun():
        return None
    folder = Path(HydraConfig.get().sweep.dir)
    return "/".join(folder.parts[-2:])


def run_name(name: str) -> str:
    """`name`, in a sweep with the job's overrides; overrides with file paths are left out."""
    if not in_multirun():
        return name
    words = words_without_places([str(word) for word in HydraConfig.get().overrides.task])
    full = f"{name}/{cell_folder(HydraConfig.get().job.num, ','.join(words))}"
    return _cut(full, LONGEST, whole=full)


def register_resolvers() -> None:
    """Register the resolvers of the recipes; may be called twice."""
    OmegaConf.register_new_resolver("cell_folder", cell_folder, replace=True)
    OmegaConf.register_new_resolver("unshared_folder", unshared_folder, replace=True)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("sweep_group", sweep_group, replace=True)


register_resolvers()  # on import, because workers of a launcher run no entry point
